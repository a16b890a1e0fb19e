package projection

import (
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"k8s.io/apimachinery/pkg/runtime"

	"github.com/annex-dev/annex/client"
	"github.com/annex-dev/annex/cmd/annex/sync/names"
)

// StatusOf returns the status that the object called key gets from its counterpart; false if that has none. Generations in it are those of
// the consumer's object.
func (c *Converter) StatusOf(counterpart *unstructured.Unstructured, key client.Key) (any, bool, error) {
	status, ok := counterpart.Object["status"]
	if !ok || status == nil {
		return nil, false, nil
	}
	holder := map[string]any{"status": runtime.DeepCopyJSONValue(status)}
	translate(holder["status"], counterpart.GetGeneration(), names.Generation(counterpart))
	if err := apply(c.status, holder, c.variables(key)); err != nil {
		return nil, false, err
	}
	status, ok = holder["status"]
	return status, ok, nil
}

// translate replaces generations of the counterpart, of which the newest is service, by those of the consumer's object, of which consumer was
// applied last. An operator that has seen the newest one has seen what was applied; one that has not, has seen something before.
func translate(status any, service, consumer int64) {
	fields, ok := status.(map[string]any)
	if !ok || consumer == 0 {
		return
	}
	of := func(holder map[string]any) {
		seen, ok := holder["observedGeneration"].(int64)
		switch {
		case !ok:
		case seen >= service:
			holder["observedGeneration"] = consumer
		default:
			holder["observedGeneration"] = min(seen, consumer-1)
		}
	}
	of(fields)
	conditions, _ := fields["conditions"].([]any)
	for _, item := range conditions {
		if condition, ok := item.(map[string]any); ok {
			of(condition)
		}
	}
}
