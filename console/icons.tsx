import type { JSX } from 'preact'

const Icon = ({ path }: { readonly path: string }): JSX.Element => (
  <svg class="icon" viewBox="0 0 24 24" aria-hidden="true">
    <path d={path} />
  </svg>
)

export const Heart = (): JSX.Element => (
  <Icon path="M12 20s-7.500-4.700-7.500-10.200A4.300 4.300 0 0 1 12 7.200a4.300 4.300 0 0 1 7.500 2.600C19.500 15.300 12 20 12 20z" />
)

export const Cross = (): JSX.Element => <Icon path="M6 6l12 12M18 6L6 18" />

export const Forward = (): JSX.Element => <Icon path="M4 12h15M13 6l6 6-6 6" />
