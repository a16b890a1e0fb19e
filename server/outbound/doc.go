// Package outbound makes the requests that tenants make the server send: to webhooks of admission and conversion, and to whatever else takes a URL
// from an object. It is no step of a request; who sends such a request takes its client configuration from a [Guard].
//
// A tenant chooses the name, so the guard decides about the address: every connection is checked when its socket is made, after the name was
// resolved, and no proxy stands between. By default none goes to
//
//   - loopback, link-local, multicast and unspecified addresses, and those that stand for them in IPv6,
//   - the addresses of this machine, and those of etcd and of the server itself ([Config.Own]),
//   - names of the services of the host cluster.
//
// [Config.Allow] and [Config.Deny] change that by address; what is denied stays denied. The guard follows no redirect and reads a bounded
// answer. Errors name no address that a name was resolved to.
//
// Packages of server may import it.
package outbound
