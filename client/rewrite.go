package client

import (
	"k8s.io/apimachinery/pkg/runtime/schema"

	"github.com/annex-dev/annex/apis/logicalcluster"
)

// Retirement says that custom resources of a cluster are not to be stored in a version any more. It holds as long as the object by which the cluster
// serves them does not change. If that changes and lists the version, it may be used again. If it does not list the version, it may not.
type Retirement struct {
	Cluster  logicalcluster.Name
	Resource schema.GroupResource
	Bucket   string // as in a [Head]
	Version  string
	// Owner and OwnerName are the resource and the name of the object by which the cluster serves the resource: a CustomResourceDefinition or an
	// APIBinding. ResourceVersion is the one that it has.
	Owner           schema.GroupResource
	OwnerName       string
	ResourceVersion string
}

// NotRewrittenError says why an object cannot be stored in another version. It contains no value of the object.
type NotRewrittenError struct{ Reason string }

// Error implements error.
func (e *NotRewrittenError) Error() string { return e.Reason }
