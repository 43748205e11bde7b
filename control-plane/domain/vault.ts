/**
 * Seals what must not be readable at rest. `use` names what the bytes are for (`credential/crd_…/3`) and is bound into the
 * seal, so that one sealed value cannot be put in another's place.
 */
export interface Vault {
  seal(use: string, plain: Uint8Array): Buffer
  /** Undefined where the bytes were not sealed by this master key for this use. */
  open(use: string, sealed: Uint8Array): Buffer | undefined
  /** Keyed hash, hex: tells that two values differ without telling the values. */
  digest(use: string, value: string): string
}
