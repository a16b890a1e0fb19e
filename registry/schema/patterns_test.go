package schema

import (
	"fmt"
	"net/http"
	"testing"

	apiextensionsv1 "k8s.io/apiextensions-apiserver/pkg/apis/apiextensions/v1"

	"github.com/annex-dev/annex/registry/catalog"
)

// The library never forgets a pattern that it has compiled.
func TestHandlers_PatternsOfOldDefinitionsAreForgotten(t *testing.T) {
	s := newServer(t, func(c *Config) { c.Capacity = 4 << 20 })
	const definitions, patterns, most = 60, 10, 40 << 20
	create := func(i int) {
		properties := map[string]apiextensionsv1.JSONSchemaProps{}
		for p := range patterns {
			properties[fmt.Sprintf("p%d", p)] = apiextensionsv1.JSONSchemaProps{Type: "string", Pattern: fmt.Sprintf("(?:%d-%d.{0,990}b)|c", i, p)}
		}
		crd := definition(t, widgetsB)
		crd.Spec.Names.ShortNames = []string{fmt.Sprintf("w%d", i)} // a schema of its own
		crd.Spec.Versions[0].Schema.OpenAPIV3Schema.Properties["spec"] = apiextensionsv1.JSONSchemaProps{Type: "object", Properties: properties}
		s.serve("c1", catalog.LocalBucket, crd)
		values := `{"p0":"c"`
		for p := 1; p < patterns; p++ {
			values += fmt.Sprintf(`,"p%d":"c"`, p)
		}
		s.must(http.StatusCreated, "POST", "c1"+widgets+"?dryRun=All", asJSON, widget("w", values+"}"))
	}
	create(0)
	before := heap()
	for i := range definitions {
		create(i + 1)
	}
	if took := heap() - before; took > most {
		t.Errorf("%d definitions, all but one gone, take %d MiB, want at most %d", definitions, took>>20, most>>20)
	} else {
		t.Logf("%d KiB", took>>10)
	}
}
