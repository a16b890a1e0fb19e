package rendered

import (
	"encoding/json"
	"fmt"
	"slices"
	"strings"

	"github.com/annex-dev/annex/apis/logicalcluster"
	"github.com/annex-dev/annex/registry/storage/layout"
)

// Generalize returns the object of a template that is like body, which is JSON, where the cluster has the given values: a string that
// is one of them, the name of the cluster, the UID, or a time becomes a slot.
func Generalize(k layout.Key, body []byte, values []string) (Object, error) {
	o := Object{Group: k.Resource.Group, Resource: k.Resource.Resource, Namespace: k.Namespace, Name: k.Name}
	var content map[string]any
	if err := json.Unmarshal(body, &content); err != nil {
		return Object{}, fmt.Errorf("reading %s %q: %w", k.Resource, k.Name, err)
	}
	if i := slices.Index(values, k.Name); i >= 0 {
		o.Name = SlotValue(i)
	}
	g := general{cluster: k.Cluster, values: values}
	g.replace("", content)
	if metadata, ok := content["metadata"].(map[string]any); ok {
		metadata["uid"] = SlotUID
	}
	general, err := json.Marshal(content)
	if err != nil {
		return Object{}, fmt.Errorf("writing %s %q: %w", k.Resource, k.Name, err)
	}
	escaped, _ := json.Marshal(slotMark) // strings never fail
	o.Body = strings.ReplaceAll(string(general), string(escaped[1:len(escaped)-1]), slotMark)
	return o, nil
}

type general struct {
	cluster logicalcluster.Name
	values  []string
}

// times are the fields that say when something began: for an object of a template, when the cluster began.
var times = []string{"creationTimestamp", "time", "lastTransitionTime"}

// replace returns the value of a field with slots in it.
func (g general) replace(field string, value any) any {
	switch value := value.(type) {
	case map[string]any:
		for k, v := range value {
			value[k] = g.replace(k, v)
		}
	case []any:
		for i := range value {
			value[i] = g.replace(field, value[i])
		}
	case string:
		switch i := slices.Index(g.values, value); {
		case slices.Contains(times, field):
			return SlotCreated
		case value == g.cluster.String():
			return SlotCluster
		case i >= 0:
			return SlotValue(i)
		}
	}
	return value
}
