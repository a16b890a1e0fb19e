package main

import (
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strconv"
	"time"

	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"k8s.io/apimachinery/pkg/types"
	"k8s.io/client-go/dynamic"
	"k8s.io/client-go/rest"

	"github.com/annex-dev/annex/test/framework/crowd"
	"github.com/annex-dev/annex/test/framework/host"
)

const (
	// gcLook is the time between two looks whether dependents are left, which is how exact the figure is.
	gcLook = 50 * time.Millisecond
	// gcMemoryLook is the time between two looks at the memory of who collects.
	gcMemoryLook = 100 * time.Millisecond
	// gcRequests is what kube-controller-manager may send per second, so that it is not its limit that is measured.
	gcRequests = "10000"
)

// gcSide is one of the servers that are compared.
type gcSide struct {
	name   string // part of the figures' names
	config *rest.Config
	url    string
	pid    int // of the process that collects
}

// measureGC tells how fast the dependents of one owner go after it is deleted in the background, and how much memory that takes: in a
// workspace, where it is a part of the server, and with kube-controller-manager beside a kube-apiserver of its own, if the plain one is
// started.
func measureGC(ctx context.Context, b *bench) (err error) {
	names, _, _, err := b.makeWorkspaces(ctx, "gc", 1, nil)
	if err != nil {
		return err
	}
	sides := []gcSide{{name: "workspace", config: b.target.admin, url: crowd.ClusterURL(b.target.admin.Host, workspacePath(names[0])), pid: b.pid()}}
	if b.opts.startPlain {
		dir := filepath.Join(b.dir, "gc")
		h, err := host.Run(ctx, dir, host.WithControllerManager("--kube-api-qps="+gcRequests, "--kube-api-burst="+gcRequests))
		if err != nil {
			return fmt.Errorf("starting kube-controller-manager: %w", err)
		}
		defer func() { err = errors.Join(err, h.Stop(), os.RemoveAll(dir)) }()
		sides = append(sides, gcSide{name: "plain", config: h.Config(), url: h.Config().Host, pid: h.ControllerManagerPid()})
	}
	rates := map[string]float64{}
	for _, side := range sides {
		if rates[side.name], err = b.gcOne(ctx, side); err != nil {
			return fmt.Errorf("in %s: %w", side.name, err)
		}
	}
	if plain := rates["plain"]; plain > 0 {
		// Above 1, the workspace is faster.
		b.report.add("gc_rate_ratio", rates["workspace"]/plain, unitCount)
	}
	return nil
}

// gcOne measures one side and returns how many dependents went per second.
func (b *bench) gcOne(ctx context.Context, side gcSide) (float64, error) {
	clients, err := crowd.ConnectAll(side.config, b.opts.clients)
	if err != nil {
		return 0, err
	}
	defer crowd.CloseAll(clients)
	resources := make([]dynamic.ResourceInterface, len(clients))
	for i, c := range clients {
		client, err := c.At(side.url)
		if err != nil {
			return 0, err
		}
		resources[i] = client.Resource(configMaps).Namespace(metav1.NamespaceDefault)
	}
	before, err := readRSS(side.pid)
	if err != nil {
		return 0, err
	}
	owner, err := resources[0].Create(ctx, newConfigMap(b.id+"-owner"), metav1.CreateOptions{})
	if err != nil {
		return 0, fmt.Errorf("creating the owner: %w", err)
	}
	if _, err := crowd.Parallel(ctx, len(clients), b.opts.dependents, func(ctx context.Context, client, i int) error {
		_, err := resources[client].Create(ctx, newDependent(b.id+"-"+strconv.Itoa(i), owner.GetName(), owner.GetUID()), metav1.CreateOptions{})
		return err
	}); err != nil {
		return 0, fmt.Errorf("creating dependents: %w", err)
	}
	if err := crowd.Sleep(ctx, min(crudRest, b.opts.settle)); err != nil {
		return 0, err
	}
	with, err := readRSS(side.pid)
	if err != nil {
		return 0, err
	}
	start := time.Now()
	peak, err := peakRSS(side.pid, gcMemoryLook, func() error {
		if err := resources[0].Delete(ctx, owner.GetName(), metav1.DeleteOptions{}); err != nil {
			return fmt.Errorf("deleting the owner: %w", err)
		}
		return awaitNoDependents(ctx, resources[0])
	})
	if err != nil {
		return 0, err
	}
	went := rate(b.opts.dependents, time.Since(start))
	prefix := "gc_" + side.name
	b.report.add(prefix+"_rate", went, unitRate)
	b.report.add(prefix+"_rss_before", before/(1<<20), unitMiB)
	b.report.add(prefix+"_rss_dependents", with/(1<<20), unitMiB)
	b.report.add(prefix+"_rss_peak", peak/(1<<20), unitMiB)
	return went, nil
}

// gcLabel is on every dependent.
const gcLabel = "bench-dependent"

// newDependent returns a ConfigMap with an owner.
func newDependent(name, owner string, uid types.UID) *unstructured.Unstructured {
	obj := newConfigMap(name)
	obj.SetLabels(map[string]string{gcLabel: "yes"})
	obj.SetOwnerReferences([]metav1.OwnerReference{{APIVersion: "v1", Kind: "ConfigMap", Name: owner, UID: uid}})
	return obj
}

// awaitNoDependents returns when no dependent is left.
func awaitNoDependents(ctx context.Context, resource dynamic.ResourceInterface) error {
	for {
		left, err := resource.List(ctx, metav1.ListOptions{LabelSelector: gcLabel, Limit: 1})
		if err != nil {
			return fmt.Errorf("looking for dependents: %w", err)
		}
		if len(left.Items) == 0 {
			return nil
		}
		if err := crowd.Sleep(ctx, gcLook); err != nil {
			return err
		}
	}
}
