package e2e

import (
	"fmt"
	"slices"
	"testing"

	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/runtime/schema"
	"k8s.io/apimachinery/pkg/watch"

	"github.com/annex-dev/annex/test/framework/annex"
)

// A consumer that is switched off is out of its provider's sight until it is switched on again; open watches have clients look again.
func TestInactive_ConsumersOfAProvider(t *testing.T) {
	server := annex.Start(t)
	provider, providerCluster := server.NewWorkspace("root", "provider", "")
	server.Kubectl(provider, gadgetSchema, "apply", "-f", "-")
	for _, name := range []string{"on", "off"} {
		path, _ := server.NewWorkspace("root", name, "")
		server.Kubectl(path, fmt.Sprintf(gadgetBinding, provider), "apply", "-f", "-")
		server.Kubectl(path, "", "wait", "--for=condition=InitialBindingCompleted", "apibinding/gadgets", "--timeout=120s")
		server.Kubectl(path, fmt.Sprintf(heldGadget, "in-"+name), "apply", "-f", "-")
	}
	for _, state := range []struct {
		annotation string
		want       []string
	}{
		{"core.kcp.io/inactive=true", []string{"in-on"}},
		{"core.kcp.io/inactive-", []string{"in-off", "in-on"}},
	} {
		config := server.Config(annex.ContextBase)
		config.Host = server.URL() + "/services/apiexport/" + providerCluster + "/gadgets/clusters/*"
		_, client := annex.Clients(t, config)
		gadgets := client.Resource(schema.GroupVersionResource{Group: "example.com", Version: "v1", Resource: "gadgets"})
		before, err := gadgets.List(t.Context(), metav1.ListOptions{})
		if err != nil {
			t.Fatal(err)
		}
		open, err := gadgets.Watch(t.Context(), metav1.ListOptions{ResourceVersion: before.GetResourceVersion()})
		if err != nil {
			t.Fatal(err)
		}
		defer open.Stop()
		server.Kubectl("root:off", "", "annotate", "logicalcluster", "cluster", state.annotation)
		event, ok := <-open.ResultChan()
		if status := apierrors.FromObject(event.Object); !ok || event.Type != watch.Error || !apierrors.IsResourceExpired(status) {
			t.Errorf("%s: the open watch gets %+v, %t; want to be told to list anew", state.annotation, event, ok)
		}
		now, err := gadgets.List(t.Context(), metav1.ListOptions{})
		if err != nil {
			t.Fatal(err)
		}
		var names []string
		for _, item := range now.Items {
			names = append(names, item.GetName())
		}
		slices.Sort(names)
		if !slices.Equal(names, state.want) {
			t.Errorf("%s: the provider sees %v, want %v", state.annotation, names, state.want)
		}
	}
}
