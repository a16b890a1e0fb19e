package install

import (
	"bytes"
	"context"
	"fmt"
	"os"
	"os/exec"
	"strings"
	"testing"
	"time"

	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/util/wait"
	apiregistrationv1 "k8s.io/kube-aggregator/pkg/apis/apiregistration/v1"
	apiregistrationhelper "k8s.io/kube-aggregator/pkg/apis/apiregistration/v1/helper"

	"github.com/annex-dev/annex/test/framework/annex"
)

// waitTimeout bounds what should happen by itself, also on a busy machine.
const waitTimeout = 2 * time.Minute

// apiServices are what Annex is registered with the host as.
var apiServices = []string{
	"v1alpha1.tenancy.kcp.io", "v1alpha1.core.kcp.io", "v1alpha1.topology.kcp.io", "v1alpha1.apis.kcp.io", "v1alpha2.apis.kcp.io",
	"v1alpha1.annex.dev",
}

// eventually waits until there is no fault any more; its error is the last one.
func eventually(ctx context.Context, fault func(context.Context) error) error {
	var last error
	if err := wait.PollUntilContextTimeout(ctx, 100*time.Millisecond, waitTimeout, true, func(ctx context.Context) (bool, error) {
		err := fault(ctx)
		if err != nil && ctx.Err() == nil {
			last = err
		}
		return err == nil, nil
	}); err != nil {
		return fmt.Errorf("%w: %w", err, last)
	}
	return nil
}

// install installs the chart as its documentation says, and waits until the host serves Annex.
func (c *cluster) install(ctx context.Context, namespace string, args ...string) error {
	if _, err := c.helm(ctx, append([]string{"install", release, chartDir, "--namespace", namespace, "--wait"}, args...)...); err != nil {
		return err
	}
	return c.available(ctx)
}

// available waits until the host serves every group version of Annex.
func (c *cluster) available(ctx context.Context) error {
	return eventually(ctx, func(ctx context.Context) error {
		for _, name := range apiServices {
			found, err := c.services.ApiregistrationV1().APIServices().Get(ctx, name, metav1.GetOptions{})
			if err != nil {
				return err
			}
			if !apiregistrationhelper.IsAPIServiceConditionTrue(found, apiregistrationv1.Available) {
				return fmt.Errorf("the APIService %s is not available: %+v", name, found.Status.Conditions)
			}
			// What the host says of itself it may not know everywhere yet.
			if _, err := c.client.Discovery().RESTClient().Get().AbsPath("/apis", found.Spec.Group, found.Spec.Version).DoRaw(ctx); err != nil {
				return fmt.Errorf("asking what the APIService %s serves: %w", name, err)
			}
		}
		return nil
	})
}

// helm runs bin/helm as the administrator of the host, and returns what it printed. The error says that, too, and how the
// pods are.
func (c *cluster) helm(ctx context.Context, args ...string) (string, error) {
	binary, err := annex.Program("helm")
	if err != nil {
		return "", err
	}
	command := exec.CommandContext(ctx, binary, append([]string{"--kubeconfig", c.host.Kubeconfig()}, args...)...)
	command.Env = append(os.Environ(), "HOME="+c.dir)
	var out bytes.Buffer
	command.Stdout, command.Stderr = &out, &out
	if err := command.Run(); err != nil {
		return out.String(), fmt.Errorf("helm %s: %w\n%s\n%s", strings.Join(args, " "), err, &out, c.node.Describe())
	}
	return out.String(), nil
}

// mustHelm is helm for what must succeed.
func mustHelm(t *testing.T, args ...string) string {
	t.Helper()
	out, err := installed.helm(t.Context(), args...)
	if err != nil {
		t.Fatal(err)
	}
	return out
}

// mustBeAvailable is available for tests.
func mustBeAvailable(t *testing.T) {
	t.Helper()
	if err := installed.available(t.Context()); err != nil {
		t.Fatalf("%v\n%s", err, installed.node.Describe())
	}
}
