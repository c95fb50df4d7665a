// The page's side of a terminal: keys and sizes go to the kernel, bytes come back. It follows xterm.js in one module.
const bytes = (view) => new Uint8Array(view.buffer, view.byteOffset, view.byteLength);

function render({ model, el }) {
  const frame = document.createElement('div');
  frame.className = 'dockmagic-terminal';
  frame.dataset.lmSuppressShortcuts = 'true'; // or the notebook would take keys that are the program's
  const bar = document.createElement('div');
  bar.className = 'dockmagic-terminal-bar';
  const title = document.createElement('span');
  title.textContent = model.get('title');
  const close = document.createElement('button');
  close.textContent = '×';
  close.title = 'End it, as closing the window would';
  close.onclick = () => model.send({ kind: 'close' });
  bar.append(title, close);
  const screen = document.createElement('div');
  screen.className = 'dockmagic-terminal-screen';
  frame.append(bar, screen);
  el.append(frame);

  const font = getComputedStyle(document.body).getPropertyValue('--jp-code-font-family').trim();
  const terminal = new Terminal({ fontFamily: font || 'monospace', fontSize: 13, cursorBlink: true, scrollback: 5000 });
  const fit = new FitAddon();
  terminal.loadAddon(fit);
  terminal.open(screen);

  let complete = false; // what comes before the history is part of it
  const receive = (content, buffers) => {
    if (content.kind === 'history') {
      terminal.reset();
      complete = true;
    }
    if (complete) terminal.write(bytes(buffers[0]));
  };
  model.on('msg:custom', receive);
  terminal.onData((data) => model.send({ kind: 'input', data }));
  terminal.onBinary((data) => model.send({ kind: 'binary', data }));
  terminal.onResize(({ rows, cols }) => model.send({ kind: 'resize', rows, columns: cols }));

  let ready = false;
  const observer = new ResizeObserver(() => {
    if (!screen.clientHeight) return; // not in the page yet, or hidden
    fit.fit();
    if (ready) return;
    ready = true;
    model.send({ kind: 'ready', rows: terminal.rows, columns: terminal.cols });
    terminal.focus();
  });
  observer.observe(screen);

  return () => {
    observer.disconnect();
    model.off('msg:custom', receive);
    terminal.dispose();
  };
}

export default { render };
