package chart

import (
	"encoding/json"
	"errors"
	"io"
	"slices"
	"strings"
	"testing"

	appsv1 "k8s.io/api/apps/v1"
	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"k8s.io/apimachinery/pkg/runtime"
	"k8s.io/apimachinery/pkg/runtime/serializer"
	"k8s.io/apimachinery/pkg/util/yaml"
	clientscheme "k8s.io/client-go/kubernetes/scheme"
	apiregistrationv1 "k8s.io/kube-aggregator/pkg/apis/apiregistration/v1"
)

// foreignGroups are API groups of others, whose Go types are not at hand.
var foreignGroups = []string{"cert-manager.io", "monitoring.coreos.com"}

// clusterScoped are the kinds in the chart that have no namespace.
var clusterScoped = []string{"APIService", "ClusterRole", "ClusterRoleBinding"}

// object is one rendered object: as it is, and in its Go type, which is nil for a foreign one.
type object struct {
	*unstructured.Unstructured
	typed runtime.Object
}

// decode reads rendered objects strictly: a field that the API server does not know is a fault.
func decode(t *testing.T, rendered string) []object {
	t.Helper()
	scheme := runtime.NewScheme()
	if err := errors.Join(clientscheme.AddToScheme(scheme), apiregistrationv1.AddToScheme(scheme)); err != nil {
		t.Fatal(err)
	}
	decoder := serializer.NewCodecFactory(scheme, serializer.EnableStrict).UniversalDeserializer()
	documents := yaml.NewYAMLToJSONDecoder(strings.NewReader(rendered))
	var objects []object
	for {
		var raw json.RawMessage
		if err := documents.Decode(&raw); errors.Is(err, io.EOF) {
			break
		} else if err != nil {
			t.Fatal(err)
		}
		if len(raw) == 0 || string(raw) == "null" {
			continue
		}
		o := object{Unstructured: &unstructured.Unstructured{}}
		if err := o.UnmarshalJSON(raw); err != nil {
			t.Fatalf("%v\n%s", err, raw)
		}
		if !slices.Contains(foreignGroups, o.GroupVersionKind().Group) {
			typed, _, err := decoder.Decode(raw, nil, nil)
			if err != nil {
				t.Errorf("%s %s: %v", o.GetKind(), o.GetName(), err)
				continue
			}
			o.typed = typed
		}
		objects = append(objects, o)
	}
	if len(objects) == 0 {
		t.Fatal("nothing is rendered")
	}
	return objects
}

// pod is a rendered pod.
type pod struct {
	owner string
	meta  metav1.ObjectMeta
	spec  corev1.PodSpec
}

// pods returns all pods, those that others make included.
func pods(objects []object) []pod {
	var found []pod
	for _, o := range objects {
		switch typed := o.typed.(type) {
		case *appsv1.StatefulSet:
			found = append(found, pod{"StatefulSet", typed.Spec.Template.ObjectMeta, typed.Spec.Template.Spec})
		case *appsv1.Deployment:
			found = append(found, pod{"Deployment", typed.Spec.Template.ObjectMeta, typed.Spec.Template.Spec})
		case *corev1.Pod:
			found = append(found, pod{"Pod", typed.ObjectMeta, typed.Spec})
		}
	}
	return found
}

func TestChart_ObjectsDecodeStrictly(t *testing.T) {
	eachValues(t, func(t *testing.T, file, _ string) {
		seen := map[string]bool{}
		for _, o := range decode(t, render(t, "--values", file)) {
			id := o.GetKind() + " " + o.GetNamespace() + "/" + o.GetName()
			if seen[id] {
				t.Errorf("%s is rendered twice", id)
			}
			seen[id] = true
			// Without it the object lands in another namespace when the output is piped into kubectl.
			if inNamespace := o.GetNamespace() != ""; inNamespace == slices.Contains(clusterScoped, o.GetKind()) {
				t.Errorf("%s: namespace %q", id, o.GetNamespace())
			}
			for _, label := range []string{"app.kubernetes.io/name", "app.kubernetes.io/instance", "app.kubernetes.io/managed-by", "helm.sh/chart"} {
				if o.GetLabels()[label] == "" {
					t.Errorf("%s has no label %s", id, label)
				}
			}
		}
	})
}

// What the host reaches is what the Service selects, and nothing else is selected.
func TestChart_ServiceSelectsTheServer(t *testing.T) {
	eachValues(t, func(t *testing.T, file, _ string) {
		objects := decode(t, render(t, "--values", file))
		var service *corev1.Service
		for _, o := range objects {
			if found, ok := o.typed.(*corev1.Service); ok {
				service = found
			}
		}
		if service == nil {
			t.Fatal("no Service")
		}
		for _, p := range pods(objects) {
			selected := true
			for key, value := range service.Spec.Selector {
				selected = selected && p.meta.Labels[key] == value
			}
			if want := p.owner != "Pod"; selected != want {
				t.Errorf("%s %s is selected: %t, want %t", p.owner, p.meta.Name, selected, want)
			}
			if p.owner == "Pod" {
				continue
			}
			if port := p.spec.Containers[0].Ports[0]; port.Name != service.Spec.Ports[0].TargetPort.String() {
				t.Errorf("the Service leads to port %s, the container has %s", service.Spec.Ports[0].TargetPort.String(), port.Name)
			}
		}
		for _, o := range objects {
			anchor, ok := o.typed.(*apiregistrationv1.APIService)
			if !ok {
				continue
			}
			if s := anchor.Spec.Service; s.Name != service.Name || s.Namespace != service.Namespace || *s.Port != service.Spec.Ports[0].Port {
				t.Errorf("the APIService leads to %s/%s:%d", s.Namespace, s.Name, *s.Port)
			}
			if len(anchor.Spec.CABundle) > 0 || anchor.Spec.InsecureSkipTLSVerify {
				t.Error("the APIService says itself how the server is checked; the server does that")
			}
		}
	})
}
