/**
 * Marks a Fastify plugin as one whose hooks and decorators belong to the whole server, and names it for error messages.
 * (The two symbols are Fastify's published convention for plugins.)
 */
export const wholeServer = <Plugin extends object>(name: string, plugin: Plugin): Plugin =>
  Object.assign(plugin, { [Symbol.for('skip-override')]: true, [Symbol.for('fastify.display-name')]: name })
