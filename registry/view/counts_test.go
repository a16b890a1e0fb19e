package view

import (
	"testing"

	"github.com/annex-dev/annex/apis/logicalcluster"
	"github.com/annex-dev/annex/client"
)

func TestView_SparseCompilesNothingForClustersWithoutObjects(t *testing.T) {
	c := newCounted(t, func(config *Config[*names]) { config.Sparse = true }, configMap("a", "one"), configMap("a", "two"))
	if got, err := c.Get(t.Context(), "b"); err != nil || got == nil || c.count("b") != 1 {
		t.Fatalf("before the watches are in step: %v, %v, compiled %d times", got, err, c.count("b"))
	}
	c.run()
	for range 3 {
		if got, err := c.Get(t.Context(), "b"); err != nil || got != nil {
			t.Fatalf("a cluster without objects has %v, %v", got, err)
		}
	}
	if c.count("b") != 1 {
		t.Errorf("compiled %d times for a cluster without objects", c.count("b"))
	}
	if got := c.get("a"); got != "one,two" {
		t.Errorf("got %s", got)
	}

	c.create(configMap("b", "three"))
	eventually(t, func() bool { got, err := c.Get(t.Context(), "b"); return err == nil && got != nil })
	for _, key := range []client.Key{client.KeyOf(configMap("b", "three")), client.KeyOf(configMap("a", "one"))} {
		if err := c.fake.Delete(t.Context(), configMaps, key, nil); err != nil {
			t.Fatal(err)
		}
	}
	eventually(t, func() bool { got, err := c.Get(t.Context(), "b"); return err == nil && got == nil })
	eventually(t, func() bool { return c.get("a") == "two" })
	c.View.mu.Lock()
	defer c.View.mu.Unlock()
	if _, known := c.counts[configMaps][logicalcluster.Name("b")]; known {
		t.Error("a cluster without objects is still counted")
	}
}
