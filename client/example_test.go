package client_test

import (
	"context"
	"fmt"

	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/runtime/schema"

	"github.com/annex-dev/annex/apis/logicalcluster"
	"github.com/annex-dev/annex/client"
	"github.com/annex-dev/annex/client/clienttest"
)

// A watch covers all clusters, and a write names one. The fake stands for a client that remote.New returns.
func Example() {
	ctx, cancel := context.WithCancel(context.Background())
	defer cancel()
	configMaps := schema.GroupResource{Resource: "configmaps"}
	settings := func(cluster logicalcluster.Name) *corev1.ConfigMap {
		return clienttest.In(cluster, &corev1.ConfigMap{ObjectMeta: metav1.ObjectMeta{Namespace: "default", Name: "settings"}})
	}
	var c client.Client = clienttest.NewFake(settings("team-a"), settings("team-b"))

	err := c.Watch(ctx, configMaps, func(event client.Event) {
		switch event.Type {
		case client.Reset:
			fmt.Println("the list begins")
		case client.Synced:
			fmt.Println("the list is complete")
			if _, err := c.Create(ctx, configMaps, "team-c", settings("team-c")); err != nil {
				fmt.Println(err)
			}
		default:
			key := client.KeyOf(event.Object)
			fmt.Println(event.Type, key)
			if key.Cluster == "team-c" {
				cancel()
			}
		}
	})
	fmt.Println(err)
	// Output:
	// the list begins
	// ADDED team-a|default/settings
	// ADDED team-b|default/settings
	// the list is complete
	// ADDED team-c|default/settings
	// context canceled
}
