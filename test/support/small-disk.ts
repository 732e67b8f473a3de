import { execFile, spawn } from 'node:child_process'
import { once } from 'node:events'
import { cpSync, mkdirSync, mkdtempSync, rmSync, statfsSync, truncateSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { promisify } from 'node:util'

const run = promisify(execFile)

export interface SmallDisk extends AsyncDisposable {
  /** On the small disk, for a server that is started with `wrap`. */
  readonly dataDir: string
  readonly wrap: (command: readonly string[]) => readonly string[]
  /** Makes `dataDir` show this process what the server has on the disk by now. */
  look(): void
  /** Takes every block that is left. */
  fill(): void
  /** Gives them back. */
  free(): void
}

/**
 * A disk of its own in memory, really mounted: by root directly, else in a user and mount namespace that a helper process keeps open.
 * Throws where the machine allows neither, because nothing else shows what a full disk does.
 */
export const mountSmallDisk = async (mebibytes: number): Promise<SmallDisk> => {
  const folder = mkdtempSync(join(tmpdir(), 'filmgate-disk-'))
  const mount = await mountDirectly(folder, mebibytes).catch((direct: unknown) =>
    mountInNamespace(folder, mebibytes).catch((namespaced: unknown) => {
      rmSync(folder, { recursive: true, force: true })
      throw new Error(
        `This machine lets nobody mount a tmpfs, so the full disk cannot be tested. mount: ${String(direct)} unshare: ${String(namespaced)}`,
      )
    }),
  )
  const dataDir = join(folder, 'data')
  const mountedData = join(mount.path, 'data')
  const ballast = join(mount.path, 'ballast')
  mkdirSync(mountedData, { mode: 0o700 })
  return {
    dataDir,
    wrap: mount.wrap,
    look: () => {
      if (mountedData === dataDir) return
      // Outside of the namespace the same path is an ordinary folder: SQLite resolves links, so it cannot read through /proc.
      rmSync(dataDir, { recursive: true, force: true })
      cpSync(mountedData, dataDir, { recursive: true, filter: (path) => !path.endsWith('-shm') })
    },
    fill: () => fillUp(mount.path, ballast),
    free: () => truncateSync(ballast, 0),
    [Symbol.asyncDispose]: async () => {
      await mount.unmount()
      rmSync(folder, { recursive: true, force: true })
    },
  }
}

/** Block by block, because a write that only fits in part still takes what is there. */
const fillUp = (path: string, ballast: string): void => {
  const block = Buffer.alloc(4096, 1)
  writeFileSync(ballast, '')
  const { bavail, bsize } = statfsSync(path)
  try {
    // Somebody else may write meanwhile: then the end comes sooner.
    writeFileSync(ballast, Buffer.alloc(bavail * bsize, 1))
    for (;;) writeFileSync(ballast, block, { flag: 'a' })
  } catch (error) {
    if (!(error instanceof Error && 'code' in error && error.code === 'ENOSPC')) throw error
  }
}

interface Mount {
  /** Where this process finds the mounted folder. */
  readonly path: string
  readonly wrap: SmallDisk['wrap']
  unmount(): Promise<unknown>
}

const mountDirectly = async (folder: string, mebibytes: number): Promise<Mount> => {
  await run('mount', ['-t', 'tmpfs', '-o', `size=${mebibytes}m`, 'tmpfs', folder])
  return { path: folder, wrap: (command) => command, unmount: () => run('umount', [folder]) }
}

const mountInNamespace = async (folder: string, mebibytes: number): Promise<Mount> => {
  const script = 'mount -t tmpfs -o "size=$1m" tmpfs "$2" && echo mounted && cat'
  const keeper = spawn('unshare', ['--mount', '--map-root-user', 'sh', '-c', script, 'sh', String(mebibytes), folder], {
    stdio: ['pipe', 'pipe', 'inherit'],
  })
  const exited = once(keeper, 'exit')
  const [word] = (await Promise.race([once(keeper.stdout, 'data'), exited])) as [unknown]
  if (String(word).trim() !== 'mounted') throw new Error(`unshare ended with ${String(word)}`)
  const unmount = (): Promise<unknown> => {
    keeper.stdin.end()
    return exited
  }
  const enter = ['nsenter', '--target', String(keeper.pid), '--user', '--mount', '--preserve-credentials']
  return { path: `/proc/${keeper.pid}/root${folder}`, wrap: (command) => [...enter, ...command], unmount }
}
