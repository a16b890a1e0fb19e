package client

import (
	"context"

	"k8s.io/apimachinery/pkg/runtime/schema"

	"github.com/annex-dev/annex/apis/logicalcluster"
)

// Initial is an object that a logical cluster contains from the beginning.
type Initial struct {
	Resource schema.GroupResource
	Object   Object
}

// Templates lets logical clusters contain objects from the beginning without storing them.
type Templates interface {
	// MakeFrom returns further annotations of a LogicalCluster, with which cluster will contain the objects as if they had been created.
	// Values are the strings in them that differ between clusters that are otherwise alike, such as the name of a user. No annotations
	// mean that it cannot be done, for example because of limits in the annotations that it has: the objects have to be created.
	MakeFrom(ctx context.Context, cluster logicalcluster.Name, annotations map[string]string, objects []Initial, values []string) (map[string]string, error)
	// Collect removes what is kept for clusters that do not exist any more.
	Collect(ctx context.Context) error
}
