/** Which protections of a page can work, by the way on which it reaches the browser. */
export interface Delivery {
  /** By TLS with a certificate that everybody can verify: what it loads over plain HTTP is asked for by TLS. */
  readonly upgradesInsecure: boolean
  /** By TLS, here or at a proxy: only then do browsers take Reporting-Endpoints. */
  readonly isSecure: boolean
}

export interface PageRules {
  /** Beside those that every page has. */
  readonly policy: readonly string[]
  /** Features of the browser that its scripts may use. */
  readonly features?: readonly string[]
}

/** Where browsers send what they refused to do for a page. */
export const reportPath = '/csp-report'

const group = 'csp'

/**
 * The fields in which a page differs from an API answer. A page is the only thing here that runs or renders, so what concerns nothing else
 * (the long Permissions-Policy, COEP, where to report to) is not on the answers of the API.
 */
export const pageFields = (
  { policy, features = [] }: PageRules,
  { upgradesInsecure, isSecure }: Delivery,
): Readonly<Record<string, string>> => ({
  'content-security-policy': [
    "default-src 'none'",
    ...policy,
    "base-uri 'none'",
    "form-action 'none'",
    "frame-ancestors 'none'",
    ...(upgradesInsecure ? ['upgrade-insecure-requests'] : []),
    // A browser that knows report-to does not look at report-uri, not even where it takes no endpoint: so it stands only where it works.
    ...(isSecure ? [`report-to ${group}`] : []),
    `report-uri ${reportPath}`,
  ].join('; '),
  ...(isSecure ? { 'reporting-endpoints': `${group}="${reportPath}"` } : {}),
  'permissions-policy': powerfulFeatures.map((feature) => `${feature}=${features.includes(feature) ? '(self)' : '()'}`).join(', '),
  'cross-origin-embedder-policy': 'require-corp',
})

/**
 * What browsers let a page do by default (W3C Permissions Policy; all that Chromium 156 knows without a flag). Left out: client hints,
 * which choose fields of requests to here, and what is being given up, such as Topics: a name that a browser does not know makes it warn.
 */
export const powerfulFeatures: readonly string[] = [
  'accelerometer',
  'aria-notify',
  'autoplay',
  'camera',
  'captured-surface-control',
  'clipboard-read',
  'clipboard-write',
  'compute-pressure',
  'cross-origin-isolated',
  'deferred-fetch',
  'deferred-fetch-minimal',
  'digital-credentials-create',
  'digital-credentials-get',
  'display-capture',
  'encrypted-media',
  'fullscreen',
  'gamepad',
  'geolocation',
  'gyroscope',
  'hid',
  'identity-credentials-get',
  'idle-detection',
  'keyboard-map',
  'language-detector',
  'language-model',
  'local-fonts',
  'local-network',
  'loopback-network',
  'magnetometer',
  'media-playback-while-not-visible',
  'microphone',
  'midi',
  'on-device-speech-recognition',
  'otp-credentials',
  'payment',
  'picture-in-picture',
  'publickey-credentials-create',
  'publickey-credentials-get',
  'screen-wake-lock',
  'serial',
  'speaker-selection',
  'storage-access',
  'summarizer',
  'sync-xhr',
  'translator',
  'usb',
  'window-management',
  'xr-spatial-tracking',
]
