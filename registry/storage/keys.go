package storage

import (
	"fmt"
	"hash/fnv"
	"strconv"
	"strings"

	"k8s.io/apimachinery/pkg/runtime/schema"

	"github.com/annex-dev/annex/apis/logicalcluster"
)

const (
	// DefaultPrefix is the first segment of every key, unless Config.Prefix says otherwise.
	DefaultPrefix = "/annex"
	// LocalBucket is the bucket of custom resources whose CRD lies in their own cluster.
	LocalBucket = "crd"

	// shards is how many watch caches share the custom resources. It is part of the keys: never change it.
	shards     = 16
	customRoot = "/cr"
	coreGroup  = "core"
)

// key is the place of one object, without Config.Prefix.
type key struct {
	resource  schema.GroupResource
	custom    bool
	bucket    string // empty for typed resources
	cluster   logicalcluster.Name
	namespace string // empty for cluster-scoped objects
	name      string
}

// typedRoot returns the root of all objects of a typed resource, for example /rbac.authorization.k8s.io/roles.
func typedRoot(gr schema.GroupResource) string {
	group := gr.Group
	if group == "" {
		group = coreGroup
	}
	return "/" + group + "/" + gr.Resource
}

// shardRoot returns the root of one of the watch caches of custom resources, for example /cr/11.
func shardRoot(shard int) string { return customRoot + "/" + strconv.Itoa(shard) }

// shardOf returns the watch cache that holds a custom resource: FNV-1a of group/resource, fixed for ever.
func shardOf(gr schema.GroupResource) int {
	h := fnv.New32a()
	_, _ = h.Write([]byte(gr.Group + "/" + gr.Resource)) // never fails
	return int(h.Sum32() % shards)
}

// customResourceRoot returns the root of all objects of a custom resource, for example /cr/11/example.com/widgets.
func customResourceRoot(gr schema.GroupResource) string {
	return shardRoot(shardOf(gr)) + "/" + gr.Group + "/" + gr.Resource
}

// String builds the key; [parseKey] reads it back.
func (k key) String() string {
	var b strings.Builder
	if k.custom {
		b.WriteString(customResourceRoot(k.resource))
		b.WriteByte('/')
		b.WriteString(k.bucket)
	} else {
		b.WriteString(typedRoot(k.resource))
	}
	b.WriteByte('/')
	b.WriteString(string(k.cluster))
	if k.namespace != "" {
		b.WriteByte('/')
		b.WriteString(k.namespace)
	}
	b.WriteByte('/')
	b.WriteString(k.name)
	return b.String()
}

// parseKey reads a key without Config.Prefix. It refuses everything that key.String does not make.
func parseKey(s string) (key, error) {
	invalid := func(why string) (key, error) { return key{}, fmt.Errorf("invalid storage key %q: %s", s, why) }
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
	k, tail := key{}, segments
	if segments[0] == customRoot[1:] {
		if len(segments) < 7 {
			return invalid("too short")
		}
		k.custom = true
		k.resource = schema.GroupResource{Group: segments[2], Resource: segments[3]}
		k.bucket, tail = segments[4], segments[5:]
		if segments[1] != strconv.Itoa(shardOf(k.resource)) {
			return invalid("wrong shard")
		}
	} else {
		if len(segments) < 4 {
			return invalid("too short")
		}
		k.resource = schema.GroupResource{Group: segments[0], Resource: segments[1]}
		if k.resource.Group == coreGroup {
			k.resource.Group = ""
		}
		tail = segments[2:]
	}
	k.cluster = logicalcluster.Name(tail[0])
	switch len(tail) {
	case 2:
		k.name = tail[1]
	case 3:
		k.namespace, k.name = tail[1], tail[2]
	default:
		return invalid("wrong number of segments")
	}
	return k, nil
}

// validSegment reports whether s, a cluster name or a bucket, can stand in a key: lower case, digits, dashes and colons.
// It is a second line: names are parsed at the front door.
func validSegment(s string) bool {
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
