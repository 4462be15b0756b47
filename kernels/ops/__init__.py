"""The ops, a file per family: signature, maths, NumPy reference, and which op is the gradient of which."""
