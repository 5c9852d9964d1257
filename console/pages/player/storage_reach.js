/* Why a page cannot read from the storage server: browsers tell scripts only
 * that they cannot. */

/* url: of a signed link that fetch() refused. A sentence for people. */
export async function explainRefusal(url) {
  const isThere = await fetch(url, {method: 'HEAD', mode: 'no-cors', credentials: 'omit',
                                    cache: 'no-store'}).then(() => true, () => false);
  const {origin} = new URL(url);
  return isThere ?
    `The storage server ${origin} does not let this page read its files. Set ` +
      `[storage] cors_origin = ${location.origin} on the server, and restart ` +
      'relaycam-storage; an S3 bucket needs a CORS rule for that origin.' :
    `The storage server ${origin} cannot be reached.`;
}
