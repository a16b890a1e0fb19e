package layout

import (
	"fmt"
	"hash/fnv"
	"strconv"
	"strings"

	"k8s.io/apimachinery/pkg/runtime/schema"

	"github.com/annex-dev/annex/apis/logicalcluster"
	"github.com/annex-dev/annex/client"
)

const (
	// DefaultPrefix is the first segment of every key, unless Config.Prefix says otherwise.
	DefaultPrefix = "/annex"
	// LocalBucket is the bucket of custom resources whose CRD is in their own cluster.
	LocalBucket = client.LocalBucket

	// Shards is how many watch caches share the custom resources. It is part of the keys: never change it.
	Shards = 16
	// VersionKey is the key of the version of the data. It is outside of all roots: each of these has two segments or more.
	VersionKey = "/version"
	// EtcdsKey is the key of what an etcd stores of the others, if there are any. It is outside of all roots, too.
	EtcdsKey = "/etcds"
	// Version is the version of the data that this program reads and writes: keys, encodings and the meaning of what is stored. Change
	// it together with anything that an older release would misread.
	//
	//	1  everything is stored
	//	2  what clusters contain from the beginning is rendered from templates, and deleted objects of them leave tombstones
	//	3  a part is in other etcds
	//	4  objects may be encrypted
	Version = 2
	// ApartVersion is the version of data of which a part is in other etcds. It is Version otherwise.
	ApartVersion = 3
	// EncryptedVersion is the version of data since the first server began to encrypt. It is also the newest.
	EncryptedVersion = 4
	// FirstVersion is the version of data that does not say its version.
	FirstVersion = 1

	// CustomRoot is what the keys of all custom resources begin with.
	CustomRoot = "/cr"
	// CoreGroup is what keys call the group that has no name.
	CoreGroup = "core"
)

// Tombstone is stored at the key of an object that was deleted, if something would be there without it (package rendered).
const Tombstone = "\x00deleted"

// IsTombstone reports whether value, which is stored in etcd, stands for an object that was deleted.
func IsTombstone(value []byte) bool { return string(value) == Tombstone }

// Key is the place of one object, without Config.Prefix.
type Key struct {
	Resource  schema.GroupResource
	Custom    bool
	Bucket    string // empty for typed resources
	Cluster   logicalcluster.Name
	Namespace string // empty for cluster-scoped objects
	Name      string
}

// TypedRoot returns the root of all objects of a typed resource, for example /rbac.authorization.k8s.io/roles.
func TypedRoot(gr schema.GroupResource) string {
	group := gr.Group
	if group == "" {
		group = CoreGroup
	}
	return "/" + group + "/" + gr.Resource
}

// ShardRoot returns the root of one of the watch caches of custom resources, for example /cr/11.
func ShardRoot(shard int) string { return CustomRoot + "/" + strconv.Itoa(shard) }

// ShardOf returns the watch cache that holds a custom resource: FNV-1a of group/resource, fixed for ever.
func ShardOf(gr schema.GroupResource) int {
	h := fnv.New32a()
	_, _ = h.Write([]byte(gr.Group + "/" + gr.Resource)) // never fails
	return int(h.Sum32() % Shards)
}

// CustomResourceRoot returns the root of all objects of a custom resource, for example /cr/11/example.com/widgets.
func CustomResourceRoot(gr schema.GroupResource) string {
	return ShardRoot(ShardOf(gr)) + "/" + gr.Group + "/" + gr.Resource
}

// String builds the key; [parseKey] reads it back.
func (k Key) String() string {
	var b strings.Builder
	if k.Custom {
		b.WriteString(CustomResourceRoot(k.Resource))
		b.WriteByte('/')
		b.WriteString(k.Bucket)
	} else {
		b.WriteString(TypedRoot(k.Resource))
	}
	b.WriteByte('/')
	b.WriteString(string(k.Cluster))
	if k.Namespace != "" {
		b.WriteByte('/')
		b.WriteString(k.Namespace)
	}
	b.WriteByte('/')
	b.WriteString(k.Name)
	return b.String()
}

// Parse reads a key without Config.Prefix. It refuses everything that key.String does not make.
func Parse(s string) (Key, error) {
	invalid := func(why string) (Key, error) { return Key{}, fmt.Errorf("invalid storage key %q: %s", s, why) }
	rest, ok := strings.CutPrefix(s, "/")
	if !ok {
		return invalid("no leading slash")
	}
	segments := strings.Split(rest, "/")
	for _, segment := range segments {
		if segment == "" || segment == "." || segment == ".." || strings.ContainsRune(segment, 0) {
			return invalid("malformed segment")
		}
	}
	k, tail := Key{}, segments
	if segments[0] == CustomRoot[1:] {
		if len(segments) < 7 {
			return invalid("too short")
		}
		k.Custom = true
		k.Resource = schema.GroupResource{Group: segments[2], Resource: segments[3]}
		k.Bucket, tail = segments[4], segments[5:]
		if segments[1] != strconv.Itoa(ShardOf(k.Resource)) {
			return invalid("wrong shard")
		}
	} else {
		if len(segments) < 4 {
			return invalid("too short")
		}
		k.Resource = schema.GroupResource{Group: segments[0], Resource: segments[1]}
		if k.Resource.Group == CoreGroup {
			k.Resource.Group = ""
		}
		tail = segments[2:]
	}
	k.Cluster = logicalcluster.Name(tail[0])
	switch len(tail) {
	case 2:
		k.Name = tail[1]
	case 3:
		k.Namespace, k.Name = tail[1], tail[2]
	default:
		return invalid("wrong number of segments")
	}
	return k, nil
}

// ValidSegment reports whether s, a cluster name or a bucket, can stand in a key: lower case, digits, dashes and colons.
// It is a second line: names are parsed at the front door.
func ValidSegment(s string) bool {
	if s == "" {
		return false
	}
	for i := range len(s) {
		c := s[i]
		if (c < 'a' || c > 'z') && (c < '0' || c > '9') && c != '-' && c != ':' {
			return false
		}
	}
	return true
}
