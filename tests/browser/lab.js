// Looks into a JupyterLab page that exposes its application, on behalf of lab.py.
window.lookInto = (path) => {
  const app = window.jupyterapp;
  const panel = [...app.shell.widgets('main')].find((widget) => widget.context && widget.context.path === path);
  if (!panel) return null;
  const kernel = () => panel.sessionContext.session && panel.sessionContext.session.kernel;
  const gone = ['dead', 'terminating', 'autorestarting', 'restarting'];

  return {
    ready: () =>
      panel.context.isReady && panel.sessionContext.isReady && !!kernel() &&
      kernel().connectionStatus === 'connected' && kernel().status === 'idle',

    // Resolves when every cell has run; a kernel that dies would let the command's promise resolve all the same.
    runAll: async () => {
      let died = false;
      panel.sessionContext.statusChanged.connect((_, status) => { died = died || gone.includes(status); });
      app.shell.activateById(panel.id);
      await app.commands.execute('notebook:run-all-cells');
      return !died;
    },

    // An idle kernel can have cells in its queue: their prompts tell.
    idle: () =>
      !!kernel() && kernel().status === 'idle' &&
      !panel.content.widgets.some((cell) => cell.node.querySelector('.jp-InputPrompt')?.innerText === '[*]:'),

    cells: () =>
      panel.content.widgets.filter((cell) => cell.model.type === 'code').map((cell) => {
        const outputs = [...Array(cell.model.outputs.length).keys()].map((index) => cell.model.outputs.get(index));
        return {
          id: cell.model.id,
          text: cell.node.querySelector('.jp-Cell-outputArea')?.innerText || '',
          html: cell.node.querySelector('.jp-Cell-outputArea')?.innerHTML || '',
          types: outputs.map((output) => Object.keys(output.data)),
          failed: outputs.some((output) => output.type === 'error'),
        };
      }),

    frame: () => {
      const outer = panel.content.node.querySelector('.jp-WindowedPanel-outer') || panel.content.node;
      outer.scrollTop = 0;
      const box = panel.content.node.getBoundingClientRect();
      const last = panel.content.widgets.at(-1).node.getBoundingClientRect();
      return {x: box.x, y: box.y, width: box.width, height: Math.ceil(last.bottom - box.y) + 12};
    },

    save: async () => { await panel.context.save(); return panel.context.model.toJSON(); },
    shutdown: () => panel.sessionContext.shutdown(),
  };
};
