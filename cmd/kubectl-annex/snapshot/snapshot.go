package snapshot

import (
	"bufio"
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"io"

	apiextensionsv1 "k8s.io/apiextensions-apiserver/pkg/apis/apiextensions/v1"
	"k8s.io/apimachinery/pkg/runtime"
	utilyaml "k8s.io/apimachinery/pkg/util/yaml"
	"sigs.k8s.io/yaml"

	apisv1alpha1 "github.com/annex-dev/annex/apis/apis/v1alpha1"
	"github.com/annex-dev/annex/schemas/crd"
)

// Formats of the output.
const (
	JSON = "json"
	YAML = "yaml"
)

// Write reads manifests of CustomResourceDefinitions, in one or many documents, and writes the APIResourceSchema of each, called
// <prefix>.<plural>.<group>, followed by a line ---. Empty documents are skipped. It writes nothing if a document is no
// CustomResourceDefinition or has a fault.
func Write(out io.Writer, in io.Reader, prefix, format string) error {
	manifests, err := Read(in)
	if err != nil {
		return err
	}
	var all bytes.Buffer
	for _, manifest := range manifests {
		definition := manifest.Definition
		schema, err := crd.ToSchema(definition, prefix)
		if err != nil {
			return fmt.Errorf("converting CustomResourceDefinition %q: %w", definition.Name, err)
		}
		document, err := render(schema, format)
		if err != nil {
			return fmt.Errorf("writing the schema of CustomResourceDefinition %q: %w", definition.Name, err)
		}
		all.Write(document)
		all.WriteString("\n---\n")
	}
	_, err = all.WriteTo(out)
	return err
}

// Manifest is a CustomResourceDefinition as somebody wrote it.
type Manifest struct {
	Definition *apiextensionsv1.CustomResourceDefinition
	// JSON has the fields that were written, and no others.
	JSON []byte
}

// Read returns the CustomResourceDefinitions in a stream of documents. Another document is an error.
func Read(in io.Reader) ([]Manifest, error) {
	var out []Manifest
	err := each(in, func(document []byte) error {
		manifest, err := parse(document)
		if err == nil {
			out = append(out, manifest)
		}
		return err
	})
	if err != nil {
		return nil, err
	}
	return out, nil
}

// each calls do for each document in a stream, as JSON, except for empty ones.
func each(in io.Reader, do func(document []byte) error) error {
	reader := utilyaml.NewYAMLReader(bufio.NewReader(in))
	for n := 1; ; n++ {
		document, err := reader.Read()
		if errors.Is(err, io.EOF) {
			return nil
		}
		if err != nil {
			return fmt.Errorf("reading manifests: %w", err)
		}
		asJSON, err := yaml.YAMLToJSON(document)
		switch {
		case err != nil:
			err = fmt.Errorf("reading YAML: %w", err)
		case !bytes.Equal(asJSON, []byte("null")):
			err = do(asJSON)
		}
		if err != nil {
			return fmt.Errorf("document %d: %w", n, err)
		}
	}
}

// kind is that of a CustomResourceDefinition.
const kind = "CustomResourceDefinition"

// parse returns the CustomResourceDefinition in a document.
func parse(document []byte) (Manifest, error) {
	definition := &apiextensionsv1.CustomResourceDefinition{}
	if err := json.Unmarshal(document, definition); err != nil {
		return Manifest{}, fmt.Errorf("reading a CustomResourceDefinition: %w", err)
	}
	if want := apiextensionsv1.SchemeGroupVersion.String(); definition.APIVersion != want || definition.Kind != kind {
		return Manifest{}, fmt.Errorf("it is not a CustomResourceDefinition of %s, but %q of %q", want, definition.Kind, definition.APIVersion)
	}
	return Manifest{Definition: definition, JSON: document}, nil
}

// render writes a schema without what only a server knows.
func render(schema *apisv1alpha1.APIResourceSchema, format string) ([]byte, error) {
	schema.APIVersion, schema.Kind = apisv1alpha1.SchemeGroupVersion.String(), "APIResourceSchema"
	object, err := runtime.DefaultUnstructuredConverter.ToUnstructured(schema)
	if err != nil {
		return nil, err
	}
	delete(object, "status")
	if metadata, ok := object["metadata"].(map[string]any); ok {
		delete(metadata, "creationTimestamp")
	}
	if format == JSON {
		return json.MarshalIndent(object, "", "    ")
	}
	document, err := yaml.Marshal(object)
	return bytes.TrimRight(document, "\n"), err
}
