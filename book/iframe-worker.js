// Search in pages that were opened from a folder: browsers start no worker there, so a hidden frame does its work.
if (location.protocol === "file:") window.Worker = class extends EventTarget {
  constructor(url) {
    super()
    const frame = this.frame = document.createElement("iframe")
    frame.hidden = true
    this.ready = new Promise(resolve => frame.onload = () => {
      const script = frame.contentDocument.createElement("script")
      script.src = url
      script.onload = resolve
      frame.contentWindow.postMessage = data => this.dispatchEvent(new MessageEvent("message", { data }))
      frame.contentDocument.head.append(script)
    })
    document.documentElement.append(frame)
  }
  postMessage(data) {
    this.ready.then(() => this.frame.contentWindow.dispatchEvent(new MessageEvent("message", { data })))
  }
}
