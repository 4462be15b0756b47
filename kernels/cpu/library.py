"""How the machine code of a kernel is made: once, of the kernel with all its helpers.

Numba makes a library of each function and of each parallel loop. By itself it would optimise and translate a helper
alone, though nobody calls it so, then again within each function that calls it, and the kernel at last.
"""

import ctypes
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

from llvmlite.binding import Linkage
from numba import _dynfunc  # type: ignore[attr-defined]
from numba.core.codegen import JITCodeLibrary
from numba.core.compiler_lock import global_compiler_lock
from numba.core.cpu import CPUContext
from numba.core.registry import cpu_target

__all__ = ["made_once"]

_NOT_CALLABLE = ctypes.cast(ctypes.pythonapi.PyObject_Call, ctypes.c_void_p).value  # of an environment: a TypeError


class _Library(JITCodeLibrary):
    """Code that is optimised only where it ends up: not when others link it, but when its address is asked for."""

    def add_linking_library(self, library: Any) -> None:
        if isinstance(library, _Library):
            library.gather()
        else:
            library._ensure_finalized()
        self._linking_libraries.append(library)

    def gather(self) -> None:
        """Take in what this code calls, and let others link it."""
        if self._finalized:
            return
        for library in dict.fromkeys(self._linking_libraries):
            self._reload_init.update(library._reload_init)
            self._final_module.link_in(library._get_module_for_linking(), preserve=True)
        self._finalize_dynamic_globals()
        self._finalized = True

    def _optimize_functions(self, module: Any) -> None:
        module.data_layout = self._codegen._data_layout

    def _optimize_final_module(self) -> None:
        # Copies of helpers of its own, and of its parallel loop: the process would take the first that it meets of
        # those of one name, and kernels give other bits when compiled than when loaded, and in another order. Before
        # optimisation, so that helpers can be fitted to the one who calls them.
        for function in self._final_module.functions:
            if not function.is_declaration and function.linkage == Linkage.linkonce_odr:
                function.linkage = Linkage.internal
        super()._optimize_final_module()


@contextmanager
def made_once(fn: Callable[..., None]) -> Iterator[None]:
    """What is compiled within is part of `fn`, and becomes machine code with it."""
    codegen, get_executable = cpu_target.target_context.codegen(), CPUContext.get_executable

    def of_kernel(context: CPUContext, library: Any, description: Any, environment: Any) -> Any:
        if description.qualname == fn.__qualname__ and description.modname == fn.__module__:
            return get_executable(context, library, description, environment)
        library.gather()
        name = description.qualname.rpartition(".")[2]
        return _dynfunc.make_function(description.lookup_module(), name, "", _NOT_CALLABLE, environment, (library,))

    with global_compiler_lock:
        codegen._library_class = _Library
        CPUContext.get_executable = of_kernel  # type: ignore[method-assign]
        try:
            yield
        finally:
            CPUContext.get_executable = get_executable  # type: ignore[method-assign]
            del codegen._library_class
