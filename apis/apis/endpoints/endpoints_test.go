package endpoints

import (
	"testing"
	"time"

	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"k8s.io/apimachinery/pkg/util/yaml"
)

func TestChoose(t *testing.T) {
	shard := map[string]string{"region": "eu", "name": "root"}
	for name, tc := range map[string]struct{ endpoints, want string }{
		"one":                     {`[{url: "https://a.example.com/x/"}]`, "https://a.example.com/x"},
		"two":                     {`[{url: "https://a.example.com"}, {url: "https://b.example.com"}]`, ""},
		"none":                    {`[]`, ""},
		"not a list":              {`{url: "https://a.example.com"}`, ""},
		"not an object":           {`["https://a.example.com"]`, ""},
		"no URL":                  {`[{shards: {matchAll: true}}]`, ""},
		"no https":                {`[{url: "http://a.example.com"}]`, ""},
		"a user":                  {`[{url: "https://x@a.example.com"}]`, ""},
		"dots":                    {`[{url: "https://a.example.com/../b"}]`, ""},
		"all shards":              {`[{url: "https://a.example.com", shards: {matchAll: true}}]`, "https://a.example.com"},
		"no shards":               {`[{url: "https://a.example.com", shards: {matchAll: false}}]`, ""},
		"shards that are none":    {`[{url: "https://a.example.com", shards: "all"}]`, ""},
		"selected":                {`[{url: "https://a.example.com", shards: {selector: {matchLabels: {region: eu}}}}, {url: "https://b.example.com", shards: {selector: {matchLabels: {region: us}}}}]`, "https://a.example.com"},
		"by expressions":          {`[{url: "https://a.example.com", shards: {selector: {matchExpressions: [{key: region, operator: In, values: [eu, us]}]}}}]`, "https://a.example.com"},
		"more terms":              {`[{url: "https://a.example.com", shards: {selector: {matchLabels: {region: eu}}}}, {url: "https://b.example.com", shards: {selector: {matchLabels: {region: eu, name: root}}}}]`, "https://b.example.com"},
		"terms before all":        {`[{url: "https://a.example.com", shards: {matchAll: true}}, {url: "https://b.example.com", shards: {selector: {matchLabels: {region: eu}}}}]`, "https://b.example.com"},
		"as many terms":           {`[{url: "https://a.example.com", shards: {selector: {matchLabels: {region: eu}}}}, {url: "https://b.example.com", shards: {selector: {matchLabels: {name: root}}}}]`, ""},
		"stated before others":    {`[{url: "https://a.example.com"}, {url: "https://b.example.com", shards: {matchAll: true}}]`, "https://b.example.com"},
		"others when none match":  {`[{url: "https://a.example.com"}, {url: "https://b.example.com", shards: {selector: {matchLabels: {region: us}}}}]`, ""},
		"a selector that is none": {`[{url: "https://a.example.com", shards: {selector: {matchExpressions: [{key: region, operator: Like}]}}}]`, ""},
		"a selector of the wrong": {`[{url: "https://a.example.com", shards: {selector: {matchLabels: [a]}}}]`, ""},
		"a wrong one among right": {`[{url: "https://a.example.com", shards: {matchAll: true}}, {url: 1}]`, ""},
	} {
		slice := &unstructured.Unstructured{}
		if err := yaml.Unmarshal([]byte("{apiVersion: example.com/v1, kind: Slice, status: {endpoints: "+tc.endpoints+"}}"), &slice.Object); err != nil {
			t.Fatalf("%s: %v", name, err)
		}
		got, err := Choose(slice, shard)
		if tc.want == "" {
			if err == nil {
				t.Errorf("%s: %s", name, got)
			}
			continue
		}
		if err != nil || got.String() != tc.want {
			t.Errorf("%s: %v, %v; want %s", name, got, err, tc.want)
		}
		now := metav1.NewTime(time.Now())
		slice.SetDeletionTimestamp(&now)
		if got, err := Choose(slice, shard); err == nil {
			t.Errorf("%s: %s although it is being deleted", name, got)
		}
	}
	if got, err := Choose(&unstructured.Unstructured{Object: map[string]any{}}, shard); err == nil {
		t.Errorf("without status: %s", got)
	}
}
