package openapi

import (
	"cmp"
	"encoding/json"
	"io"
	"reflect"
	"slices"
	"strings"
	"testing"
	"testing/iotest"
	"unsafe"

	openapi_v3 "github.com/google/gnostic-models/openapiv3"
	"google.golang.org/protobuf/proto"
	apiextensionsv1 "k8s.io/apiextensions-apiserver/pkg/apis/apiextensions/v1"
	"k8s.io/apiextensions-apiserver/pkg/controller/openapi/builder"
	"k8s.io/kube-openapi/pkg/handler3"
	"k8s.io/kube-openapi/pkg/spec3"
)

// specOf returns the document that the stock builder makes of a kind of its own, with a property "parameters" among others.
func specOf(t *testing.T, kind string) *spec3.OpenAPI {
	t.Helper()
	plural := strings.ToLower(kind) + "s"
	text := apiextensionsv1.JSONSchemaProps{Type: "string", Description: `of "` + kind + `" <é>`}
	names := apiextensionsv1.CustomResourceDefinitionNames{Plural: plural, Singular: strings.ToLower(kind), Kind: kind, ListKind: kind + "List"}
	spec, err := builder.BuildOpenAPIV3(&apiextensionsv1.CustomResourceDefinition{
		Spec: apiextensionsv1.CustomResourceDefinitionSpec{
			Group: "example.org", Scope: apiextensionsv1.NamespaceScoped, Names: names,
			Versions: []apiextensionsv1.CustomResourceDefinitionVersion{{
				Name: "v1", Served: true, Storage: true,
				Subresources: &apiextensionsv1.CustomResourceSubresources{Status: &apiextensionsv1.CustomResourceSubresourceStatus{}},
				Schema: &apiextensionsv1.CustomResourceValidation{OpenAPIV3Schema: &apiextensionsv1.JSONSchemaProps{
					Type: "object", Properties: map[string]apiextensionsv1.JSONSchemaProps{
						"parameters": {Type: "object", Properties: map[string]apiextensionsv1.JSONSchemaProps{"parameters": text}}, "name/with}": text,
					},
				}},
			}},
		},
		Status: apiextensionsv1.CustomResourceDefinitionStatus{AcceptedNames: names},
	}, "v1", builder.Options{})
	if err != nil {
		t.Fatal(err)
	}
	return spec
}

func partOf(t *testing.T, spec *spec3.OpenAPI) *Part {
	t.Helper()
	part, err := NewPart(spec)
	if err != nil {
		t.Fatal(err)
	}
	return part
}

func read(t *testing.T, c Content) []byte {
	t.Helper()
	content, err := io.ReadAll(c.NewReader())
	if err != nil {
		t.Fatal(err)
	}
	if int64(len(content)) != c.Size() {
		t.Errorf("%d bytes of %d", len(content), c.Size())
	}
	return content
}

// The stock code merges documents as a whole.
func TestMerge_AsTheStockCode(t *testing.T) {
	var specs []*spec3.OpenAPI
	var parts []*Part
	for _, kind := range []string{"Widget", "Gadget", "Alarm"} {
		specs = append(specs, specOf(t, kind))
		parts = append(parts, partOf(t, specs[len(specs)-1]))
	}
	merged, err := builder.MergeSpecsV3(specs...)
	if err != nil {
		t.Fatal(err)
	}
	stock, err := json.Marshal(merged)
	if err != nil {
		t.Fatal(err)
	}
	document, err := Merge(parts...)
	if err != nil {
		t.Fatal(err)
	}
	var got, want any
	for content, into := range map[string]*any{string(stock): &want, string(read(t, document.JSON())): &got} {
		if err := json.Unmarshal([]byte(content), into); err != nil {
			t.Fatal(err)
		}
	}
	if !reflect.DeepEqual(got, want) {
		t.Errorf("got %v, want %v", got, want)
	}

	stock, err = handler3.ToV3ProtoBinary(stock)
	if err != nil {
		t.Fatal(err)
	}
	content, err := document.Protobuf(convert)
	if err != nil {
		t.Fatal(err)
	}
	if got, want := decode(t, read(t, content)), decode(t, stock); !proto.Equal(got, want) {
		t.Errorf("got %v, want %v", got, want)
	}
}

func convert(_ string, convert func() (string, error)) (string, error) { return convert() }

// decode returns the document in protobuf, whose lists have no order.
func decode(t *testing.T, content []byte) *openapi_v3.Document {
	t.Helper()
	document := &openapi_v3.Document{}
	if err := proto.Unmarshal(content, document); err != nil {
		t.Fatal(err)
	}
	slices.SortFunc(document.Paths.Path, func(a, b *openapi_v3.NamedPathItem) int { return cmp.Compare(a.Name, b.Name) })
	slices.SortFunc(document.Components.Schemas.AdditionalProperties, func(a, b *openapi_v3.NamedSchemaOrReference) int {
		return cmp.Compare(a.Name, b.Name)
	})
	return document
}

func TestMerge_DifferentSchemas(t *testing.T) {
	one, two, other := specOf(t, "Widget"), specOf(t, "Widget"), specOf(t, "Widget")
	other.Components.Schemas["org.example.v1.Widget"].Description = "another one"
	if _, err := Merge(partOf(t, one), partOf(t, two)); err != nil {
		t.Errorf("equal schemas: %v", err)
	}
	if _, err := Merge(partOf(t, one), partOf(t, other)); err == nil || !strings.Contains(err.Error(), "different schemas org.example.v1.Widget") {
		t.Errorf("different schemas: %v", err)
	}
	const metadata = "io.k8s.apimachinery.pkg.apis.meta.v1.ObjectMeta"
	two.Components.Schemas[metadata].Description = "of a later part"
	document, err := Merge(partOf(t, one), partOf(t, two))
	if err != nil {
		t.Fatal(err)
	}
	if content := string(read(t, document.JSON())); strings.Contains(content, "of a later part") || !strings.Contains(content, `"`+metadata+`":{`) {
		t.Error("the schema of the first part does not stand")
	}
	if _, err := Merge(); err == nil {
		t.Error("a document of nothing")
	}
}

func TestPart_SharesWhatIsEqual(t *testing.T) {
	one, two := partOf(t, specOf(t, "Widget")), partOf(t, specOf(t, "Gadget"))
	whole, err := Merge(one)
	if err != nil {
		t.Fatal(err)
	}
	content := whole.JSON()
	if own, size := one.Bytes(), content.Size(); own > size/4 {
		t.Errorf("a part takes %d of %d bytes", own, size)
	}
	var own, shared int
	known := map[*byte]bool{}
	for _, part := range []*Part{one, two} {
		for _, entries := range [][]entry{part.paths, part.schemas} {
			for _, e := range entries {
				for _, piece := range e.text {
					data, size := unsafe.StringData(piece.Value()), len(piece.Value())
					if known[data] {
						shared += size
					} else {
						own += size
					}
					known[data] = true
				}
			}
		}
	}
	if both := int64(own); both > content.Size() {
		t.Errorf("two parts take %d bytes, and the document of one %d; they share %d", both, content.Size(), shared)
	}
}

// A tenant can choose the name of a type that every custom resource has, but not that its bytes are not counted.
func TestPart_CountsWhatTenantsWrite(t *testing.T) {
	spec := specOf(t, "Widget")
	before := partOf(t, spec).Bytes()
	spec.Components.Schemas["io.k8s.apimachinery.pkg.apis.meta.v1.ObjectMeta"].Description = strings.Repeat("x", 1<<20)
	if more := partOf(t, spec).Bytes() - before; more < 1<<20 {
		t.Errorf("a type with another megabyte takes %d bytes more", more)
	}
}

// The information about the server is in what is kept.
func TestDocument_ProtobufIsKeptByItsHead(t *testing.T) {
	one, two := specOf(t, "Widget"), specOf(t, "Widget")
	two.Info.Title = "another server"
	hashes := map[string]bool{}
	for _, spec := range []*spec3.OpenAPI{one, two} {
		document, err := Merge(partOf(t, spec))
		if err != nil {
			t.Fatal(err)
		}
		if _, err := document.Protobuf(func(hash string, convert func() (string, error)) (string, error) {
			if hashes[hash] {
				t.Error("two documents share what has the title of one")
			}
			hashes[hash] = true
			return convert()
		}); err != nil {
			t.Fatal(err)
		}
	}
}

func TestParsePart_Nonsense(t *testing.T) {
	for _, content := range []string{``, `[]`, `{"paths":[]}`, `{"paths":{"/a":{"get":1}},"components":7}`} {
		if part, err := ParsePart([]byte(content)); err == nil {
			t.Errorf("%q is %v", content, part)
		}
	}
}

func TestDocument_ProtobufFails(t *testing.T) {
	document, err := Merge(partOf(t, specOf(t, "Widget")))
	if err != nil {
		t.Fatal(err)
	}
	_, err = document.Protobuf(func(string, func() (string, error)) (string, error) { return "", io.ErrUnexpectedEOF })
	if err == nil || !strings.Contains(err.Error(), "converting /apis/example.org/v1/") {
		t.Errorf("a conversion that fails: %v", err)
	}
}

func TestContent(t *testing.T) {
	var c Content
	if size := c.Size(); size != 0 {
		t.Errorf("nothing has %d bytes", size)
	}
	c.add("", "a", "", "piece by piece", ",", strings.Repeat("long", 3000), "")
	var want strings.Builder
	for _, piece := range c.pieces {
		want.WriteString(piece)
	}
	// It seeks, too.
	if err := iotest.TestReader(c.NewReader(), []byte(want.String())); err != nil {
		t.Error(err)
	}
	r := c.NewReader()
	if _, err := r.Seek(-1, io.SeekStart); err == nil {
		t.Error("it seeks to before the beginning")
	}
	if _, err := r.Seek(0, 7); err == nil {
		t.Error("it seeks from anywhere")
	}
}
