package install

import (
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"testing"
	"time"

	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/util/sets"
	"k8s.io/client-go/kubernetes"
	aggregator "k8s.io/kube-aggregator/pkg/client/clientset_generated/clientset"

	"github.com/annex-dev/annex/test/framework/annex"
	hostframework "github.com/annex-dev/annex/test/framework/host"
	"github.com/annex-dev/annex/test/framework/host/kubelet"
	"github.com/annex-dev/annex/test/framework/postgresql"
)

const (
	chartDir = "../../../charts/annex"
	// release is the name of the release and of its objects, namespace where they are.
	release   = "annex"
	namespace = "annex-system"
	// newer is the tag of another build of the server.
	newer = "newer"
	// operator is the image of the operator in the tutorial.
	operator = "account"
	// startTimeout bounds the start of host and node, and the installation.
	startTimeout = 10 * time.Minute
)

// keptClaim is what uninstalling leaves: the claim with the data, and its volume.
var keptClaim = []string{"persistentvolumeclaims/" + namespace + "/data-annex-0", "persistentvolumes/"}

// cluster is a host with a node, and Annex in it.
type cluster struct {
	dir  string
	host *hostframework.Host
	node *kubelet.Kubelet
	etcd *secureEtcd
	// postgres is nil if this machine cannot have one.
	postgres *postgresql.Server
	client   kubernetes.Interface
	services aggregator.Interface
	// before is what was on the host before Annex was.
	before sets.Set[string]
}

// installed is for all tests of the package.
var installed *cluster

func TestMain(m *testing.M) {
	kubelet.Main()
	os.Exit(run(m))
}

func run(m *testing.M) (code int) {
	dir, err := os.MkdirTemp("", "annex-install")
	if err != nil {
		fmt.Fprintln(os.Stderr, err)
		return 1
	}
	c := &cluster{dir: dir}
	defer func() {
		if err := errors.Join(c.stop(), os.RemoveAll(dir)); err != nil {
			fmt.Fprintln(os.Stderr, err)
			code = 1
		}
	}()
	ctx, cancel := context.WithTimeout(context.Background(), startTimeout)
	defer cancel()
	if err := c.start(ctx); err != nil {
		fmt.Fprintln(os.Stderr, err)
		return 1
	}
	installed = c
	return m.Run()
}

// start runs the host with its node, and installs Annex without any value.
func (c *cluster) start(ctx context.Context) (err error) {
	binary, err := annex.Program("annex")
	if err != nil {
		return err
	}
	// Until a test makes another build, this is the same one. The operator's image has any program until there is one.
	if err := errors.Join(os.Mkdir(filepath.Dir(c.newerBinary()), 0o700), os.Symlink(binary, c.newerBinary()),
		os.Mkdir(filepath.Dir(c.operatorBinary()), 0o700), os.Symlink(binary, c.operatorBinary())); err != nil {
		return err
	}
	// An address outside has to be known when the node starts.
	if c.etcd, err = startSecureEtcd(filepath.Join(c.dir, "etcd")); err != nil {
		return err
	}
	options := []kubelet.Option{
		kubelet.WithImage("annex", binary), kubelet.WithImage("annex:"+newer, c.newerBinary()), kubelet.WithImage(operator, c.operatorBinary()),
		kubelet.WithOutside(c.etcd.address),
	}
	for _, name := range exampleImages {
		program, err := annex.Program(name)
		if err != nil {
			return err
		}
		options = append(options, kubelet.WithImage(name, program))
	}
	switch c.postgres, err = postgresql.Run(ctx); {
	case err == nil:
		options = append(options, kubelet.WithOutside(c.postgres.Address()))
	case !errors.Is(err, postgresql.ErrNone):
		return err
	}
	if c.host, err = hostframework.Run(ctx, filepath.Join(c.dir, "host"), hostframework.WithoutFsync(),
		hostframework.WithControllerManager(), hostframework.WithPodNetwork()); err != nil {
		return err
	}
	if c.node, err = kubelet.Run(ctx, filepath.Join(c.dir, "node"), c.host, options...); err != nil {
		return err
	}
	if c.client, err = kubernetes.NewForConfig(c.host.Config()); err != nil {
		return err
	}
	if c.services, err = aggregator.NewForConfig(c.host.Config()); err != nil {
		return err
	}
	if err := c.createNamespace(ctx, namespace); err != nil {
		return err
	}
	if c.before, err = inventory(ctx, c.host.Config()); err != nil {
		return err
	}
	return c.install(ctx, namespace)
}

func (c *cluster) stop() error {
	var errs []error
	if c.node != nil {
		errs = append(errs, c.node.Stop())
	}
	if c.host != nil {
		errs = append(errs, c.host.Stop())
	}
	if c.etcd != nil {
		c.etcd.stop()
	}
	if c.postgres != nil {
		errs = append(errs, c.postgres.Close())
	}
	return errors.Join(errs...)
}

// newerBinary is where the other build of the server belongs.
func (c *cluster) newerBinary() string { return filepath.Join(c.dir, newer, "annex") }

// operatorBinary is where the operator of the tutorial belongs.
func (c *cluster) operatorBinary() string { return filepath.Join(c.dir, "operator", operator) }

// createNamespace makes a namespace in which only restricted pods run, and waits until pods can be made there.
func (c *cluster) createNamespace(ctx context.Context, name string) error {
	if _, err := c.client.CoreV1().Namespaces().Create(ctx, &corev1.Namespace{ObjectMeta: metav1.ObjectMeta{
		Name: name, Labels: map[string]string{"pod-security.kubernetes.io/enforce": "restricted"},
	}}, metav1.CreateOptions{}); err != nil {
		return fmt.Errorf("making namespace %s: %w", name, err)
	}
	return eventually(ctx, func(ctx context.Context) error {
		if _, err := c.client.CoreV1().ConfigMaps(name).Get(ctx, "kube-root-ca.crt", metav1.GetOptions{}); err != nil {
			return err
		}
		_, err := c.client.CoreV1().ServiceAccounts(name).Get(ctx, "default", metav1.GetOptions{})
		return err
	})
}
