package schema

import (
	"fmt"
	"net/http"
	"os"
	"os/exec"
	"runtime"
	"strings"
	"testing"

	apiextensionsv1 "k8s.io/apiextensions-apiserver/pkg/apis/apiextensions/v1"

	"github.com/annex-dev/annex/registry/catalog"
)

// heap returns the bytes of what is in use.
func heap() int64 {
	runtime.GC()
	runtime.GC()
	var m runtime.MemStats
	runtime.ReadMemStats(&m)
	return int64(m.HeapAlloc)
}

// alone reports whether the test runs in a process of its own. If not, it runs it in one: what earlier tests have left goes at any time.
func alone(t *testing.T) bool {
	const mark = "ANNEX_TEST_ALONE"
	if os.Getenv(mark) != "" {
		return true
	}
	command := exec.CommandContext(t.Context(), os.Args[0], "-test.v", "-test.run=^"+t.Name()+"$")
	command.Env = append(os.Environ(), mark+"=1")
	out, err := command.CombinedOutput()
	if err != nil || !strings.Contains(string(out), "--- PASS: "+t.Name()+" ") {
		t.Errorf("%v\n%s", err, out)
	}
	return false
}

func TestSize_IsNotLessThanWhatAHandlerTakes(t *testing.T) {
	if !alone(t) {
		return
	}
	s := newServer(t, func(c *Config) { c.Capacity = 1 << 40 }) // nothing goes while it is measured
	n := 0
	for name, properties := range map[string]map[string]apiextensionsv1.JSONSchemaProps{
		"little":       nil,
		"properties":   flat(1500, ""),
		"descriptions": flat(1000, strings.Repeat("x", 500)),
		"rules":        ruled(flat(50, "")),
		"objects":      objects(300),
	} {
		t.Run(name, func(t *testing.T) {
			// So many that what goes meanwhile does not count.
			const enough = 32 << 20
			var estimated, copies int64
			for ; estimated < enough; copies++ {
				n++
				crd := definition(t, widgetsB)
				crd.Spec.Names.ShortNames = []string{fmt.Sprintf("w%d", n)} // a schema of its own
				crd.Spec.Versions[0].Schema.OpenAPIV3Schema.Properties["spec"] = apiextensionsv1.JSONSchemaProps{Type: "object", Properties: properties}
				estimated += size(s.serve(fmt.Sprintf("%s%d", name, copies), catalog.LocalBucket, crd).CRD)
			}
			before := heap()
			for i := range copies {
				s.must(http.StatusOK, "GET", fmt.Sprintf("%s%d", name, i)+widgets, "", "")
			}
			took := heap() - before
			t.Logf("%d KiB, estimated as %d KiB", took/copies>>10, estimated/copies>>10)
			if took > estimated || took < estimated/16 {
				t.Errorf("handlers take %d bytes and are estimated to take %d", took, estimated)
			}
		})
	}
}

func flat(n int, description string) map[string]apiextensionsv1.JSONSchemaProps {
	m := map[string]apiextensionsv1.JSONSchemaProps{}
	for i := range n {
		m[fmt.Sprintf("p%d", i)] = apiextensionsv1.JSONSchemaProps{Type: "string", Description: description}
	}
	return m
}

func objects(n int) map[string]apiextensionsv1.JSONSchemaProps {
	m := map[string]apiextensionsv1.JSONSchemaProps{}
	for i := range n {
		m[fmt.Sprintf("p%d", i)] = apiextensionsv1.JSONSchemaProps{Type: "object", Properties: flat(3, "")}
	}
	return m
}

func ruled(m map[string]apiextensionsv1.JSONSchemaProps) map[string]apiextensionsv1.JSONSchemaProps {
	for name, p := range m {
		n := int64(10)
		p.MaxLength = &n
		p.XValidations = apiextensionsv1.ValidationRules{{Rule: "self != 'x'"}}
		m[name] = p
	}
	return m
}
