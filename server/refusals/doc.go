// Package refusals limits floods of requests that are refused with 401 or 403. Such requests never reach package fairness, which
// shares out the server among those who may enter a workspace. It stands between the front door and the stock chain, and costs a
// hash and two lookups in memory for each request.
//
// Each refusal is charged to whoever caused it:
//
//	credentials that the server knows      403    the user, at one address; the workspace, for its ServiceAccounts
//	credentials that it does not know      401    the address
//	no credentials                         both   the address
//
// While an account is overdrawn, its requests get 429 before anybody looks at them, after a moment: a client that sends one request after
// the other then sends few. Before that, refusals are held as well, the longer, the more of the burst is gone: hundreds of them at once
// would keep the processors from others. Credentials that were accepted a moment ago do
// not depend on the account of their address: users behind the same proxy as a flood are not touched by it. Other credentials of a
// user whose account is overdrawn charge the address: a header that nobody reads makes any number of them.
//
// Nothing is kept for ever: accounts and known credentials are the last ones used, a fixed number of them.
package refusals
