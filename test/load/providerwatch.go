package main

import (
	"context"
	"fmt"
	"strconv"
	"time"

	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"k8s.io/client-go/dynamic"

	"github.com/annex-dev/annex/test/framework/crowd"
)

// consumers is the number of workspaces whose objects the provider watches.
const consumers = 4

// measureProviderWatch tells how soon a provider sees what a consumer wrote:
// from the start of the call that creates an object to its event in the
// provider's wildcard watch, one object after the other, in several workspaces.
func measureProviderWatch(ctx context.Context, b *bench) error {
	p, err := b.needProvider(ctx)
	if err != nil {
		return err
	}
	names, _, _, err := b.makeWorkspaces(ctx, "consumer", consumers, p.bindAndCreate)
	if err != nil {
		return err
	}
	c, err := crowd.Connect(b.target.admin)
	if err != nil {
		return err
	}
	defer c.Close()
	url, err := p.endpoint(ctx, c)
	if err != nil {
		return err
	}
	t, err := b.trackWidgets(ctx, url)
	if err != nil {
		return err
	}
	defer t.close()

	var l latencies
	for i := range b.opts.samples + consumers {
		client, err := c.Cluster(workspacePath(names[i%consumers]))
		if err != nil {
			return err
		}
		latency, err := writeAndSee(ctx, client.Resource(widgets), t, newWidget(b.id+"-seen-"+strconv.Itoa(i)))
		if err != nil {
			return err
		}
		if i >= consumers { // the first write in each workspace warms up
			l = append(l, latency)
		}
	}
	b.report.latencies("write_to_provider_watch", l)
	return nil
}

// writeAndSee returns the time from a write to its event.
func writeAndSee(ctx context.Context, resource dynamic.ResourceInterface, t *tracker, obj *unstructured.Unstructured) (time.Duration, error) {
	wait := t.expect(obj.GetName(), func(obj *unstructured.Unstructured) bool { return obj != nil })
	start := time.Now()
	if _, err := resource.Create(ctx, obj, metav1.CreateOptions{}); err != nil {
		return 0, fmt.Errorf("creating an object: %w", err)
	}
	at, err := wait(ctx)
	if err != nil {
		return 0, fmt.Errorf("watching as the provider: %w", err)
	}
	return at.Sub(start), nil
}

// endpoint returns the URL at which the provider sees its consumers, once the
// server has published it. With several shards it is that of the first.
func (p *provider) endpoint(ctx context.Context, c *crowd.Connection) (string, error) {
	client, err := c.Cluster(p.path())
	if err != nil {
		return "", err
	}
	slice, err := await(ctx, client.Resource(endpoints), exportName, func(obj *unstructured.Unstructured) bool {
		return firstEndpoint(obj) != ""
	})
	if err != nil {
		return "", fmt.Errorf("finding the endpoint of the export: %w", err)
	}
	return firstEndpoint(slice), nil
}

// firstEndpoint returns status.endpoints[0].url, "" when there is none.
func firstEndpoint(slice *unstructured.Unstructured) string {
	list, _, err := unstructured.NestedSlice(slice.Object, "status", "endpoints")
	if err != nil || len(list) == 0 {
		return ""
	}
	first, _ := list[0].(map[string]any)
	url, _ := first["url"].(string)
	return url
}

// trackWidgets watches the widgets of all consumers at the endpoint.
func (b *bench) trackWidgets(ctx context.Context, url string) (*tracker, error) {
	c, err := crowd.Connect(b.target.privileged)
	if err != nil {
		return nil, err
	}
	all, err := c.At(crowd.ClusterURL(url, "*"))
	if err != nil {
		return nil, err
	}
	t, err := track(ctx, c, all.Resource(widgets))
	if err != nil {
		return nil, fmt.Errorf("watching as the provider: %w", err)
	}
	return t, nil
}
