package logicalcluster

import (
	"fmt"
	"regexp"
	"strings"

	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
)

// AnnotationKey is the annotation with the logical cluster of every served object. It is derived from the storage key. A value from
// a client is ignored.
const AnnotationKey = "kcp.io/cluster"

// PathAnnotationKey is the annotation that holds the canonical path of a logical cluster.
const PathAnnotationKey = "kcp.io/path"

// Clusters with a fixed name.
const (
	// Root is the top of the workspace tree.
	Root Name = "root"
	// SystemAdmin contains the RBAC policy that applies in every logical cluster, and the Leases of the server.
	SystemAdmin Name = "system:admin"
	// SystemBoundCRDs holds one CustomResourceDefinition for each schema that some binding uses, named by the schema's UID.
	SystemBoundCRDs Name = "system:bound-crds"
	// SystemShard contains internal objects of the server.
	SystemShard Name = "system:shard"
)

const systemPrefix = "system:"

var (
	nameExp   = regexp.MustCompile(`^[a-z0-9][a-z0-9-]{0,61}[a-z0-9]$`)
	systemExp = regexp.MustCompile(`^system:[a-z0-9]([a-z0-9:-]{0,61}[a-z0-9])?$`)
)

// Name permanently identifies a logical cluster, for example 2f8kq1z0c7a9x3bd, root or system:admin.
type Name string

// ParseName returns s as a Name, or an error that quotes it when it is not a valid one. The wildcard is not a name.
func ParseName(s string) (Name, error) {
	if nameExp.MatchString(s) || systemExp.MatchString(s) {
		return Name(s), nil
	}
	return "", fmt.Errorf("invalid cluster: %q does not match the regex %s", s, nameExp)
}

// String returns the name as it stands in URLs and keys.
func (n Name) String() string { return string(n) }

// Empty reports whether n names nothing.
func (n Name) Empty() bool { return n == "" }

// IsSystem reports whether n is one of the server's own clusters, which only system:masters may enter.
func (n Name) IsSystem() bool { return strings.HasPrefix(string(n), systemPrefix) }

// Path returns the path that consists of the name alone.
func (n Name) Path() Path { return Path(n) }

// From returns the logical cluster in the annotation of obj; empty if this server never served obj.
func From(obj metav1.Object) Name { return Name(obj.GetAnnotations()[AnnotationKey]) }
