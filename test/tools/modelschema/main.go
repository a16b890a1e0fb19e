// Modelschema prints the OpenAPI v2 definitions of our kinds, and of what they are made of, as JSON. The generator of apply
// configurations builds the types for server-side apply from it. make generate runs it, after generated/openapi is written.
package main

import (
	"encoding/json"
	"fmt"
	"os"
	"strings"

	"k8s.io/kube-openapi/pkg/validation/spec"

	"github.com/annex-dev/annex/generated/openapi"
)

const (
	modelPrefix = "io.kcp."
	// goPrefix begins the names that the generator looks for: it makes them from Go import paths and knows nothing of the
	// model-package markers of our types. generate.sh puts the real names into what it writes.
	goPrefix = "com.github.annex-dev.annex.apis."
)

func main() {
	if err := json.NewEncoder(os.Stdout).Encode(document(modelPrefix)); err != nil {
		fmt.Fprintln(os.Stderr, "modelschema:", err)
		os.Exit(1)
	}
}

// document returns the definitions whose names begin with prefix, under both names, and all that they refer to.
func document(prefix string) *spec.Swagger {
	all := openapi.GetOpenAPIDefinitions(func(name string) spec.Ref { return spec.MustCreateRef("#/definitions/" + name) })
	wanted := spec.Definitions{}
	var add func(name string)
	add = func(name string) {
		if _, ok := wanted[name]; ok {
			return
		}
		def := all[name]
		wanted[name] = def.Schema
		for _, dep := range def.Dependencies {
			add(dep)
		}
	}
	for name := range all {
		if rest, ok := strings.CutPrefix(name, prefix); ok {
			add(name)
			wanted[goPrefix+rest] = wanted[name]
		}
	}
	return &spec.Swagger{SwaggerProps: spec.SwaggerProps{
		Swagger:     "2.0",
		Info:        &spec.Info{InfoProps: spec.InfoProps{Title: "Annex", Version: "v1alpha1"}},
		Paths:       &spec.Paths{},
		Definitions: wanted,
	}}
}
