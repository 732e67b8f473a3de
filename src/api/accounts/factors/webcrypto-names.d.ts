import type { webcrypto } from 'node:crypto'

/** What the types of @simplewebauthn/server call by the names of the DOM. Node has the same, under another name. */
declare global {
  type Algorithm = webcrypto.Algorithm
  type AlgorithmIdentifier = webcrypto.AlgorithmIdentifier
  type BufferSource = ArrayBufferView | ArrayBuffer
  type CryptoKeyPair = webcrypto.CryptoKeyPair
  type EcdsaParams = webcrypto.EcdsaParams
  type EcKeyGenParams = webcrypto.EcKeyGenParams
  type EcKeyImportParams = webcrypto.EcKeyImportParams
  type KeyUsage = webcrypto.KeyUsage
  type RsaHashedImportParams = webcrypto.RsaHashedImportParams
}
