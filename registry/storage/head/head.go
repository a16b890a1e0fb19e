package head

import (
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/runtime/schema"

	"github.com/annex-dev/annex/client"
)

// Head is an object without its content. Controllers know it, too.
type Head = client.Head

// Of returns the head of an object that says which cluster it is in, as every object does that storage returns.
func Of(resource schema.GroupResource, bucket string, obj metav1.Object) Head {
	return client.HeadOf(resource, bucket, obj)
}
