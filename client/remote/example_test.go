package remote_test

import (
	"context"
	"log"

	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"k8s.io/apimachinery/pkg/runtime/schema"
	"k8s.io/client-go/rest"

	"github.com/annex-dev/annex/client"
	"github.com/annex-dev/annex/client/remote"
)

// The operator of a provider works on the objects of all consumers. Its endpoint is the URL in the status of the
// APIExportEndpointSlice.
func Example() {
	ctx := context.Background()
	config := &rest.Config{Host: "https://annex/services/apiexport/2f8kq1z0c7a9x3bd/widgets/clusters/*", BearerToken: "secret"}
	c, err := remote.New(config, nil)
	if err != nil {
		log.Fatal(err)
	}
	widgets := schema.GroupResource{Group: "example.com", Resource: "widgets"}
	err = c.Watch(ctx, widgets, func(event client.Event) {
		widget, ok := event.Object.(*unstructured.Unstructured)
		if !ok || event.Type == client.Deleted {
			return
		}
		widget = widget.DeepCopy() // objects are shared
		if err := unstructured.SetNestedField(widget.Object, "Ready", "status", "phase"); err != nil {
			log.Print(err)
			return
		}
		// An update that changes nothing causes no event.
		key := client.KeyOf(widget)
		if _, err := c.Update(ctx, widgets, key.Cluster, widget); err != nil {
			log.Printf("updating Widget %s: %v", key, err)
		}
	})
	log.Fatal(err)
}
