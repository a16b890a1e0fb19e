package names

import (
	"crypto/sha256"
	"encoding/base32"
	"strings"

	"github.com/annex-dev/annex/client"
	"github.com/annex-dev/annex/cmd/annex/sync/config"
)

const (
	// maxName is how long a name with a hash may be. Operators make labels and further names from names.
	maxName = 63
	// maxPart is how much of a readable part a name has.
	maxPart = 20
	// hashBytes are 80 bits, which are 16 letters and digits.
	hashBytes = 10
)

var encoding = base32.NewEncoding("abcdefghijklmnopqrstuvwxyz234567").WithPadding(base32.NoPadding)

// hash returns 16 lower-case letters and digits. No part has a zero byte.
func hash(parts ...string) string {
	sum := sha256.Sum256([]byte(strings.Join(parts, "\x00")))
	return encoding.EncodeToString(sum[:hashBytes])
}

// Scheme gives names in the service cluster.
type Scheme struct {
	config.Naming
	Agent string
}

// New returns the scheme of an agent.
func New(c *config.SyncConfiguration) Scheme { return Scheme{Naming: c.Naming, Agent: c.Agent} }

// Shared reports whether the namespace of an object is also that of objects from other namespaces of consumers.
func (s Scheme) Shared() bool { return s.Layout != config.NamespacePerNamespace }

// Namespace returns the namespace for objects of a consumer's namespace, which is empty for objects without one. For example
// sync-2f8kq1z0c7a9x3bd-default-mfzwizltmfzwizlt.
func (s Scheme) Namespace(of client.Key) string {
	switch s.Layout {
	case config.SingleNamespace:
		return s.Naming.Namespace
	case config.NamespacePerConsumer:
		return s.NamespacePrefix + readable(string(of.Cluster)) + hash(s.Agent, "consumer", string(of.Cluster))
	}
	return s.NamespacePrefix + readable(string(of.Cluster)) + readable(of.Namespace) + hash(s.Agent, "namespace", string(of.Cluster), of.Namespace)
}

// Name returns the name of an object or a related object of a consumer, in the namespace for it, or without a namespace.
func (s Scheme) Name(of client.Key, namespaced bool) string {
	if namespaced && !s.Shared() {
		return of.Name
	}
	return s.Unique(of)
}

// Unique returns a name that no other object has, of any consumer. For example web-mfzwizltmfzwizlt.
func (s Scheme) Unique(of client.Key) string {
	id := hash(s.Agent, "object", string(of.Cluster), of.Namespace, of.Name)
	return cut(of.Name, maxName-len(id)-1) + id
}

// readable returns the beginning of a part of a name, with a dash; empty for an empty part.
func readable(part string) string { return cut(part, maxPart) }

func cut(part string, most int) string {
	kept := strings.Map(func(r rune) rune {
		if (r >= 'a' && r <= 'z') || (r >= '0' && r <= '9') {
			return r
		}
		return '-'
	}, part)
	kept = strings.Trim(kept[:min(len(kept), most)], "-")
	if kept == "" {
		return ""
	}
	return kept + "-"
}
