package kubelet_test

import (
	"os"
	"os/exec"
	"testing"

	"github.com/annex-dev/annex/test/framework/host"
	"github.com/annex-dev/annex/test/framework/host/kubelet"
)

// A test of a chart needs three lines before it can call helm. In a test of
// your own, testMain is TestMain, and testChart is TestChart.
func Example() {
	testMain := func(m *testing.M) {
		kubelet.Main() // first: in the process of a container it does not return
		os.Exit(m.Run())
	}
	testChart := func(t *testing.T) {
		h := host.Start(t, host.WithControllerManager(), host.WithPodNetwork())
		kubelet.Start(t, h,
			kubelet.WithImage("annex:1.0.0", "bin/annex"),
			kubelet.WithOutside("127.0.0.1:2379")) // an etcd on this machine

		install := exec.CommandContext(t.Context(), "helm", "install", "annex", "charts/annex", "--wait", "--kubeconfig", h.Kubeconfig())
		if out, err := install.CombinedOutput(); err != nil {
			t.Fatalf("installing the chart: %v\n%s", err, out)
		}
	}
	_, _ = testMain, testChart
}
