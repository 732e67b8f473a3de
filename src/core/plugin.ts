/**
 * Marks a Fastify plugin as one whose hooks and decorators belong to the whole server, names it for error messages, and names the plugins
 * that must be registered before it: without them the start fails. (The symbols are Fastify's published convention for plugins.)
 */
export const wholeServer = <Plugin extends object>(name: string, plugin: Plugin, dependencies: readonly string[] = []): Plugin =>
  Object.assign(plugin, {
    [Symbol.for('skip-override')]: true,
    [Symbol.for('fastify.display-name')]: name,
    [Symbol.for('plugin-meta')]: { name, dependencies },
  })
