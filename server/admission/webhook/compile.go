package webhook

import (
	"context"
	"fmt"

	admissionregistrationv1 "k8s.io/api/admissionregistration/v1"
	"k8s.io/apimachinery/pkg/runtime/schema"
	"k8s.io/apiserver/pkg/admission/plugin/webhook"

	"github.com/annex-dev/annex/apis/logicalcluster"
	"github.com/annex-dev/annex/client"
)

var (
	validatingConfigurations = admissionregistrationv1.Resource("validatingwebhookconfigurations")
	mutatingConfigurations   = admissionregistrationv1.Resource("mutatingwebhookconfigurations")
)

// Followed returns the resources that webhooks come from.
func Followed() []schema.GroupResource {
	return []schema.GroupResource{validatingConfigurations, mutatingConfigurations}
}

// What parts of webhooks take in bytes. Clients with their connections, and compiled conditions, are made when they are first used.
const (
	hooksBytes     = 256
	clientBytes    = 64 << 10
	conditionBytes = 32 << 10
	// certificateParts is for each byte of a configuration, most of which are certificates if it is large.
	certificateParts = 4
	// parsedBytes is for each byte of a condition: long expressions have many nodes.
	parsedBytes = 64
)

// compiledBytes returns about how many bytes the client and the conditions of a webhook take.
func compiledBytes(conditions []admissionregistrationv1.MatchCondition) int64 {
	bytes := clientBytes + conditionBytes*len(conditions)
	for _, c := range conditions {
		bytes += parsedBytes * len(c.Expression)
	}
	return int64(bytes)
}

// hooks are the webhooks of one workspace.
type hooks struct {
	validating, mutating []webhook.WebhookAccessor
	bytes                int64
}

func (h *hooks) size() int64 {
	if h == nil {
		return 0
	}
	return h.bytes
}

// compile reads the webhooks of cluster, in the order of their configurations' names; nil if there are none.
func (c *clients) compile(ctx context.Context, from client.Reader, cluster logicalcluster.Name) (*hooks, error) {
	validating, err := client.List[admissionregistrationv1.ValidatingWebhookConfiguration](ctx, from, validatingConfigurations, client.Scope{Cluster: cluster})
	if err != nil {
		return nil, fmt.Errorf("listing the validating webhooks of cluster %q: %w", cluster, err)
	}
	mutating, err := client.List[admissionregistrationv1.MutatingWebhookConfiguration](ctx, from, mutatingConfigurations, client.Scope{Cluster: cluster})
	if err != nil {
		return nil, fmt.Errorf("listing the mutating webhooks of cluster %q: %w", cluster, err)
	}
	h := &hooks{bytes: hooksBytes}
	for _, configuration := range validating {
		named := names{configuration: configuration.Name}
		h.bytes += certificateParts * int64(configuration.Size())
		for i := range configuration.Webhooks {
			hook := &configuration.Webhooks[i]
			h.validating = append(h.validating, c.with(webhook.NewValidatingWebhookAccessor(named.uid(hook.Name), configuration.Name, hook)))
			h.bytes += compiledBytes(hook.MatchConditions)
		}
	}
	for _, configuration := range mutating {
		named := names{configuration: configuration.Name}
		h.bytes += certificateParts * int64(configuration.Size())
		for i := range configuration.Webhooks {
			hook := &configuration.Webhooks[i]
			h.mutating = append(h.mutating, c.with(webhook.NewMutatingWebhookAccessor(named.uid(hook.Name), configuration.Name, hook)))
			h.bytes += compiledBytes(hook.MatchConditions)
		}
	}
	if len(h.validating)+len(h.mutating) == 0 {
		return nil, nil
	}
	return h, nil
}

// names tells webhooks of one configuration apart, also those that were stored with one name.
type names struct {
	configuration string
	seen          map[string]int
}

func (n *names) uid(name string) string {
	if n.seen == nil {
		n.seen = map[string]int{}
	}
	count := n.seen[name]
	n.seen[name]++
	return fmt.Sprintf("%s/%s/%d", n.configuration, name, count)
}
