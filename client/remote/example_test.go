package remote_test

import (
	"context"
	"fmt"
	"strings"

	corev1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/runtime/schema"
	"k8s.io/client-go/rest"

	"github.com/annex-dev/annex/client"
	"github.com/annex-dev/annex/client/remote"
)

// The operator of a provider labels the ConfigMaps of all of its consumers. Its endpoint is the URL in the status of its
// APIExportEndpointSlice.
func Example() {
	labelAll := func(ctx context.Context, config *rest.Config, endpoint string) error {
		config = rest.CopyConfig(config)
		config.Host = strings.TrimSuffix(endpoint, "/") + "/clusters/*"
		c, err := remote.New(config, nil)
		if err != nil {
			return err
		}
		configMaps := schema.GroupResource{Resource: "configmaps"}
		return c.Watch(ctx, configMaps, func(event client.Event) {
			configMap, ok := event.Object.(*corev1.ConfigMap)
			if !ok || event.Type == client.Deleted || configMap.Labels["seen"] == "yes" {
				return
			}
			configMap = configMap.DeepCopy() // objects are shared
			if configMap.Labels == nil {
				configMap.Labels = map[string]string{}
			}
			configMap.Labels["seen"] = "yes"
			key := client.KeyOf(configMap)
			if _, err := c.Update(ctx, configMaps, key.Cluster, configMap); err != nil {
				fmt.Println(err) // a controller tries again, see controllers/multicluster
			}
		})
	}
	_ = labelAll
}
