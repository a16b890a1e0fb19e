package postgres

import (
	"crypto/sha256"
	"encoding/base32"
	"strings"
)

// Name is the name of a tenant's database, and of the role that owns it.
type Name string

const (
	// readable is how much of the object's name is in the name, for people. PostgreSQL cuts names after 63 bytes.
	readable = 20
	hashed   = 26 // 130 bits
)

// encoding has letters and digits that mean the same to PostgreSQL with and without quotes.
var encoding = base32.StdEncoding.WithPadding(base32.NoPadding)

// NameFor returns the name for the object called namespace/name in a logical cluster, for example db_orders_k3jx…. Different objects have
// different names, also across clusters: the three cannot contain the slash that separates them.
func NameFor(cluster, namespace, name string) Name {
	sum := sha256.Sum256([]byte(cluster + "/" + namespace + "/" + name))
	plain := strings.Map(func(r rune) rune {
		if (r >= 'a' && r <= 'z') || (r >= '0' && r <= '9') {
			return r
		}
		return '_'
	}, name[:min(len(name), readable)])
	return Name("db_" + plain + "_" + strings.ToLower(encoding.EncodeToString(sum[:]))[:hashed])
}

// Logins returns the two roles that log in.
func (n Name) Logins() [2]string { return [2]string{string(n) + "_a", string(n) + "_b"} }

// Other returns the login that is not this one. It is the first one if login is neither.
func (n Name) Other(login string) string {
	logins := n.Logins()
	if login == logins[0] {
		return logins[1]
	}
	return logins[0]
}

// Has reports whether login is one of the two.
func (n Name) Has(login string) bool {
	logins := n.Logins()
	return login == logins[0] || login == logins[1]
}
