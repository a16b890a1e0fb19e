// Package issuer is an OpenID Connect issuer for tests: a real one over HTTPS on the loopback interface, with discovery, keys that can be
// rotated, and tokens with any claims. It can be away for a time.
//
// Only tests may import this package.
package issuer
