package writecost

import (
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"

	corev1 "k8s.io/api/core/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"k8s.io/apimachinery/pkg/runtime"
	"k8s.io/apimachinery/pkg/runtime/serializer"
	genericapirequest "k8s.io/apiserver/pkg/endpoints/request"
)

func TestMeasure(t *testing.T) {
	for text, want := range map[string]struct {
		measure
		withLists int
	}{
		`{}`:                              {measure{0, 0, 0, ""}, 0},
		`"a:b"`:                           {measure{0, 0, 0, ""}, 0},
		`{"a":"{,\"" , "b" : [ ] }`:       {measure{2, 4, 2, ""}, 4},
		`{"a":[1,"x,y",{"b":":"},[]]}`:    {measure{6, 2, 1, ""}, 2 + 16},
		`{"metadata":{"finalizers":[1]}}`: {measure{3, 3, 1, ""}, 3},
		`[["a","b","c"]]`:                 {measure{4, 0, 0, ""}, 10},
	} {
		got := measureJSON([]byte(text), false)
		if got != want.measure {
			t.Errorf("%s: %+v, want %+v", text, got, want.measure)
		}
		if got := measureJSON([]byte(text), true).squares; got != want.withLists {
			t.Errorf("%s: %d squares with lists, want %d", text, got, want.withLists)
		}
		// What was decoded counts the same.
		obj := map[string]any{}
		if json.Unmarshal([]byte(text), &obj) != nil {
			continue
		}
		if decoded, err := measureObject(&unstructured.Unstructured{Object: obj}, false); err != nil || decoded != want.measure {
			t.Errorf("%s: %+v when decoded, %v; want %+v", text, decoded, err, want.measure)
		}
	}
	many := strings.Repeat(`,"x":1`, 2_000)[1:]
	if got := measureJSON([]byte(`{"a":[0,{"b\"":{`+many+`},"c":{"x":1}}]}`), true); got.where != `a[1].b"` || got.largest != 2_000 {
		t.Errorf("the largest is %+v", got)
	}
}

// codecs know ConfigMaps.
func codecs(t *testing.T) serializer.CodecFactory {
	t.Helper()
	scheme := runtime.NewScheme()
	if err := corev1.AddToScheme(scheme); err != nil {
		t.Fatal(err)
	}
	return serializer.NewCodecFactory(scheme)
}

// read returns what the handler of a request gets, and what is said of the object that it changes.
func read(t *testing.T, verb, contentType string, body []byte, stored runtime.Object) (data []byte, readErr, checkErr error) {
	t.Helper()
	ctx := genericapirequest.WithRequestInfo(t.Context(), &genericapirequest.RequestInfo{Verb: verb, APIVersion: "v1", Resource: "configmaps", Name: "a"})
	req := httptest.NewRequestWithContext(ctx, http.MethodPost, "/", strings.NewReader(string(body)))
	req.Header.Set("Content-Type", contentType)
	req = Remember(req, codecs(t))
	data, readErr = io.ReadAll(req.Body)
	return data, readErr, Check(req.Context(), stored)
}

func configMap(fields, managers int, version string) *corev1.ConfigMap {
	c := &corev1.ConfigMap{TypeMeta: metav1.TypeMeta{APIVersion: "v1", Kind: "ConfigMap"}, ObjectMeta: metav1.ObjectMeta{Name: "a"}, Data: map[string]string{}}
	for i := range fields {
		c.Data[fmt.Sprint(i)] = ""
	}
	for i := range managers {
		c.ManagedFields = append(c.ManagedFields, metav1.ManagedFieldsEntry{
			Manager: fmt.Sprint(i), Operation: metav1.ManagedFieldsOperationApply, APIVersion: version, FieldsType: "FieldsV1", FieldsV1: metav1.NewFieldsV1(`{"f:a":{}}`),
		})
	}
	return c
}

// Each encoding says the same.
func TestRemember_MeasuresEveryEncoding(t *testing.T) {
	factory := codecs(t)
	for _, contentType := range []string{runtime.ContentTypeJSON, runtime.ContentTypeYAML, runtime.ContentTypeProtobuf} {
		info, _ := runtime.SerializerInfoForMediaType(factory.SupportedMediaTypes(), contentType)
		for name, tc := range map[string]struct {
			obj, stored *corev1.ConfigMap
			wantRead    string
			wantCheck   string
		}{
			"small":                     {configMap(1, 1, "v1"), configMap(10, 10, "v1"), "", ""},
			"large":                     {configMap(30_000, 100, "v1"), configMap(30_000, 100, "v1"), "", ""},
			"fields":                    {configMap(50_000, 0, ""), configMap(0, 0, ""), "data: Invalid value: the object has too many fields", ""},
			"managers":                  {configMap(0, 1_001, "v1"), configMap(0, 0, ""), "metadata.managedFields: Too many", ""},
			"other versions":            {configMap(30_000, 40, "v0"), configMap(30_000, 1, "v1"), "", "40 managers of other versions than v1 are too many"},
			"other versions, small":     {configMap(0, 30, "v0"), configMap(40_000, 1, "v1"), "", "30 managers of other versions than v1"},
			"other versions are stored": {configMap(3_000, 0, ""), configMap(1, 200, "v0"), "", ""},
			"other versions, both":      {configMap(30_000, 0, ""), configMap(30_000, 200, "v0"), "", "200 managers of other versions than v1"},
		} {
			t.Run(contentType+" "+name, func(t *testing.T) {
				body, err := runtime.Encode(info.Serializer, tc.obj)
				if err != nil {
					t.Fatal(err)
				}
				data, readErr, checkErr := read(t, "update", contentType, body, tc.stored)
				if tc.wantRead != "" {
					if !apierrors.IsInvalid(readErr) || !strings.Contains(readErr.Error(), tc.wantRead) {
						t.Errorf("reading the body: %v", readErr)
					}
					return
				}
				if readErr != nil || string(data) != string(body) {
					t.Errorf("the handler reads %d bytes of %d, %v", len(data), len(body), readErr)
				}
				if tc.wantCheck == "" && checkErr != nil || tc.wantCheck != "" && (!apierrors.IsInvalid(checkErr) || !strings.Contains(checkErr.Error(), tc.wantCheck)) {
					t.Errorf("changing the object: %v, want %q", checkErr, tc.wantCheck)
				}
			})
		}
	}
}

// What stock handlers refuse, they get as it is.
func TestRemember_LeavesTheRestToStockHandlers(t *testing.T) {
	for name, body := range map[string]string{"too large": strings.Repeat(" ", maxBody+100), "no JSON": `{"a":`, "nothing": ""} {
		data, err, checkErr := read(t, "create", runtime.ContentTypeJSON, []byte(body), configMap(0, 0, ""))
		if string(data) != body || err != nil || checkErr != nil {
			t.Errorf("%s: the handler reads %d bytes of %d, %v, %v", name, len(data), len(body), err, checkErr)
		}
	}
}

func TestCheckManagers(t *testing.T) {
	gr := corev1.Resource("configmaps")
	for name, tc := range map[string]struct {
		obj, before runtime.Object
		want        bool
	}{
		"new":        {configMap(0, 1_000, "v1"), nil, true},
		"new, many":  {configMap(0, 1_001, "v1"), nil, false},
		"more":       {configMap(0, 1_001, "v1"), configMap(0, 1_000, "v1"), false},
		"had before": {configMap(0, 1_001, "v1"), configMap(0, 1_001, "v1"), true},
	} {
		if err := CheckManagers(tc.obj, tc.before, gr); tc.want && err != nil || !tc.want && !apierrors.IsInvalid(err) {
			t.Errorf("%s: %v", name, err)
		}
	}
}
