package interleaving

import (
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"net/http"
	"slices"
	"strings"
	"time"

	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"k8s.io/apimachinery/pkg/runtime/schema"
	"k8s.io/apimachinery/pkg/types"
	"k8s.io/apimachinery/pkg/util/wait"
	"k8s.io/client-go/dynamic"
	"k8s.io/client-go/rest"

	"github.com/annex-dev/annex/test/framework/annex"
)

const (
	steps = 40
	// pause is the longest time between two steps.
	pause = 40 * time.Millisecond
	// patience ends a wait for what never comes.
	patience = 3 * time.Minute
)

// walk is one workspace in which things come and go. Its child workspace is called child.
type walk struct {
	servers   []*annex.Server
	export    string // path of the workspace with the APIExport widgets
	name      string
	random    *rand.Rand
	endsEarly bool

	cluster string
	held    []heldRequest
	log     []string
}

type heldRequest struct {
	what string
	late *annex.Late
}

func (w *walk) note(format string, args ...any) { w.log = append(w.log, fmt.Sprintf(format, args...)) }
func (w *walk) said() string                    { return "\t" + strings.Join(w.log, "\n\t") }
func (w *walk) path() string                    { return "root:" + w.name }

// at returns the administrator's credentials for a workspace, at one of the servers.
func (w *walk) at(path string) *rest.Config { return pick(w, w.servers...).Workspace(path) }

// client returns a client of a resource; of one namespace if that is not empty.
func (w *walk) client(path string, gvr schema.GroupVersionResource, namespace string) (dynamic.ResourceInterface, error) {
	client, err := dynamic.NewForConfig(w.at(path))
	if err != nil {
		return nil, err
	}
	if namespace == "" {
		return client.Resource(gvr), nil
	}
	return client.Resource(gvr).Namespace(namespace), nil
}

func (w *walk) run(ctx context.Context) error {
	parent, err := dynamic.NewForConfig(w.at("root"))
	if err != nil {
		return err
	}
	if w.cluster, err = annex.NewWorkspace(ctx, parent, w.name, "universal"); err != nil {
		return err
	}
	for range steps {
		if err := w.step(ctx); err != nil {
			return err
		}
		time.Sleep(time.Duration(w.random.Int64N(int64(pause))))
	}
	if !w.endsEarly {
		if err := w.sendAll(); err != nil {
			return err
		}
		return w.rest(ctx)
	}
	if err := w.remove(ctx, "root", workspaces, "", w.name); err != nil {
		return err
	}
	if pick(w, true, false) {
		if err := w.sendAll(); err != nil {
			return err
		}
	}
	if err := w.gone(ctx); err != nil {
		return err
	}
	return w.sendAll()
}

// step does something, whether or not that makes sense now.
func (w *walk) step(ctx context.Context) error {
	switch w.random.IntN(14) {
	case 0, 1:
		return w.create(ctx, w.path(), crds, "", definition(pick(w, "Namespaced", "Cluster")))
	case 2:
		return w.remove(ctx, w.path(), crds, "", "gadgets.example.org")
	case 3:
		return w.create(ctx, w.path(), namespaces, "", object("v1", "Namespace", pick(w, "a", "b")))
	case 4:
		return w.remove(ctx, w.path(), namespaces, "", pick(w, "a", "b"))
	case 5, 6:
		return w.create(ctx, w.path(), bindings, "", binding(w.export))
	case 7:
		return w.remove(ctx, w.path(), bindings, "", "widgets")
	case 8:
		child := object("tenancy.kcp.io/v1alpha1", "Workspace", "child")
		child.Object["spec"] = map[string]any{"type": map[string]any{"name": "universal", "path": "root"}}
		return w.create(ctx, w.path(), workspaces, "", child)
	case 9:
		return w.remove(ctx, w.path(), workspaces, "", "child")
	case 10, 11:
		return w.hold(ctx)
	case 12:
		if len(w.held) == 0 {
			return w.hold(ctx)
		}
		i := w.random.IntN(len(w.held))
		request := w.held[i]
		w.held = slices.Delete(w.held, i, i+1)
		return w.send(request)
	}
	t := w.target()
	switch w.random.IntN(4) {
	case 0, 1:
		return w.create(ctx, t.path, t.gvr, t.namespace, t.object())
	case 2:
		return w.remove(ctx, t.path, t.gvr, t.namespace, t.name)
	}
	client, err := w.client(t.path, t.gvr, t.namespace)
	if err != nil {
		return err
	}
	_, err = client.Patch(ctx, t.name, types.MergePatchType, []byte(`{"metadata":{"labels":{"a":"b"}}}`), metav1.PatchOptions{})
	return w.judge(err, "label %s", t)
}

func (w *walk) create(ctx context.Context, path string, gvr schema.GroupVersionResource, namespace string, obj *unstructured.Unstructured) error {
	client, err := w.client(path, gvr, namespace)
	if err != nil {
		return err
	}
	_, err = client.Create(ctx, obj, metav1.CreateOptions{})
	return w.judge(err, "create %s %s/%s in %s", gvr.Resource, namespace, obj.GetName(), path)
}

func (w *walk) remove(ctx context.Context, path string, gvr schema.GroupVersionResource, namespace, name string) error {
	client, err := w.client(path, gvr, namespace)
	if err != nil {
		return err
	}
	return w.judge(client.Delete(ctx, name, metav1.DeleteOptions{}), "delete %s %s/%s in %s", gvr.Resource, namespace, name, path)
}

// hold begins a create, or an apply, whose body comes later.
func (w *walk) hold(ctx context.Context) error {
	t := w.target()
	body, err := t.object().MarshalJSON()
	if err != nil {
		return err
	}
	method, url, contentType := http.MethodPost, t.url(), "application/json"
	if pick(w, true, false) {
		method, url, contentType = http.MethodPatch, url+"/"+t.name+"?fieldManager=walk&force=true", string(types.ApplyYAMLPatchType)
	}
	late, err := annex.Withhold(ctx, w.at(t.path), method, url, contentType, string(body))
	if err != nil {
		return err
	}
	request := heldRequest{method + " " + t.String(), late}
	if !late.Waits() {
		return w.send(request)
	}
	w.note("hold %s", request.what)
	w.held = append(w.held, request)
	return nil
}

func (w *walk) send(request heldRequest) error {
	code, status, err := request.late.Send()
	w.note("send %s: %d %s", request.what, code, status.Message)
	if err != nil {
		return fmt.Errorf("%s: %w", request.what, err)
	}
	return acceptable(code, request.what+": "+status.Message)
}

func (w *walk) sendAll() error {
	w.random.Shuffle(len(w.held), func(i, j int) { w.held[i], w.held[j] = w.held[j], w.held[i] })
	held := w.held
	w.held = nil
	for _, request := range held {
		if err := w.send(request); err != nil {
			return err
		}
	}
	return nil
}

// judge returns an error if err is a fault of the server.
func (w *walk) judge(err error, format string, args ...any) error {
	what := fmt.Sprintf(format, args...)
	code := http.StatusOK
	var status apierrors.APIStatus
	if errors.As(err, &status) {
		code = int(status.Status().Code)
	} else if err != nil {
		return fmt.Errorf("%s: %w", what, err)
	}
	w.note("%s: %d %v", what, code, err)
	return acceptable(code, fmt.Sprintf("%s: %v", what, err))
}

// acceptable returns an error for a code that is a fault of the server.
func acceptable(code int, what string) error {
	if code < http.StatusInternalServerError || code == http.StatusServiceUnavailable || code == http.StatusGatewayTimeout {
		return nil
	}
	return fmt.Errorf("answered with %d: %s", code, what)
}

// rest waits until nothing in the workspace is being deleted.
func (w *walk) rest(ctx context.Context) error {
	var waitsFor string
	err := wait.PollUntilContextTimeout(ctx, 50*time.Millisecond, patience, true, func(ctx context.Context) (bool, error) {
		for _, gvr := range []schema.GroupVersionResource{namespaces, crds, bindings, workspaces} {
			client, err := w.client(w.path(), gvr, "")
			if err != nil {
				return false, err
			}
			list, err := client.List(ctx, metav1.ListOptions{})
			if err != nil {
				waitsFor = err.Error()
				return false, nil
			}
			for _, obj := range list.Items {
				if obj.GetDeletionTimestamp() != nil {
					waitsFor = fmt.Sprintf("%s %s", gvr.Resource, obj.GetName())
					return false, nil
				}
			}
		}
		return true, nil
	})
	if err != nil {
		return fmt.Errorf("the deletion of %s does not end: %w", waitsFor, err)
	}
	return nil
}

// end deletes the workspace and waits until it is gone.
func (w *walk) end(ctx context.Context) error {
	if err := w.remove(ctx, "root", workspaces, "", w.name); err != nil {
		return err
	}
	return w.gone(ctx)
}

func (w *walk) gone(ctx context.Context) error {
	last := "nothing"
	err := wait.PollUntilContextTimeout(ctx, 50*time.Millisecond, patience, true, func(ctx context.Context) (bool, error) {
		client, err := w.client("root", workspaces, "")
		if err != nil {
			return false, err
		}
		ws, err := client.Get(ctx, w.name, metav1.GetOptions{})
		if apierrors.IsNotFound(err) {
			return true, nil
		}
		if err == nil {
			conditions, _, _ := unstructured.NestedSlice(ws.Object, "status", "conditions")
			last = fmt.Sprint(conditions)
		}
		return false, nil
	})
	if err != nil {
		return fmt.Errorf("the deletion of workspace %s, %s, does not end: %w; it says %s", w.name, w.cluster, err, last)
	}
	return nil
}
