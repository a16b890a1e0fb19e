package app

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"path/filepath"
	"strings"
	"time"

	"github.com/spf13/cobra"
	"github.com/spf13/pflag"
	authenticationv1 "k8s.io/api/authentication/v1"
	corev1 "k8s.io/api/core/v1"
	rbacv1 "k8s.io/api/rbac/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	"k8s.io/apimachinery/pkg/api/validation"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/client-go/kubernetes"
	clientauthenticationv1 "k8s.io/client-go/pkg/apis/clientauthentication/v1"
	"k8s.io/client-go/tools/clientcmd"
	clientcmdapi "k8s.io/client-go/tools/clientcmd/api"
	"k8s.io/utils/ptr"

	"github.com/annex-dev/annex/apis/logicalcluster"
	"github.com/annex-dev/annex/cmd/kubectl-annex/session"
)

const (
	// defaultTokenLife and minTokenLife are those of TokenRequests.
	defaultTokenLife, minTokenLife = time.Hour, 10 * time.Minute
	// execVersion is the version of the API between client-go and exec plugins.
	execVersion = "client.authentication.k8s.io/v1"
)

// accountFlags select a ServiceAccount of the workspace.
type accountFlags struct {
	name, role string
	life       time.Duration
}

func (f *accountFlags) add(flags *pflag.FlagSet) {
	flags.StringVar(&f.name, "service-account", "", "ServiceAccount of the workspace to make the kubeconfig for, as [NAMESPACE/]NAME. Default namespace: default.")
	flags.StringVar(&f.role, "role", "", "ClusterRole to bind to --service-account, which is created if it does not exist.")
	flags.DurationVar(&f.life, "token-duration", defaultTokenLife, "How long a token of --service-account is valid. It is renewed while the kubeconfig is used.")
}

// check returns what is wrong with the flags.
func (f *accountFlags) check() error {
	if f.name == "" {
		if f.role != "" || f.life != defaultTokenLife {
			return errors.New("--role, --token-duration: have no effect without --service-account")
		}
		return nil
	}
	namespace, name := f.split()
	switch {
	case len(validation.ValidateNamespaceName(namespace, false)) > 0 || len(validation.ValidateServiceAccountName(name, false)) > 0:
		return fmt.Errorf("--service-account %s: must be a name, or <namespace>/<name>", f.name)
	case f.life < minTokenLife:
		return fmt.Errorf("--token-duration %s: must be at least %s", f.life, minTokenLife)
	}
	return nil
}

func (f *accountFlags) split() (namespace, name string) {
	namespace, name, ok := strings.Cut(f.name, "/")
	if !ok {
		return metav1.NamespaceDefault, f.name
	}
	return namespace, name
}

// forAccount returns the name of the context and the credentials for a ServiceAccount, after it has made sure that they work.
func (c *common) forAccount(ctx context.Context, s *session.Session, path logicalcluster.Path, f accountFlags, rules *clientcmd.ClientConfigLoadingRules) (string, *clientcmdapi.AuthInfo, error) {
	d, err := s.Door(ctx)
	if err != nil {
		return "", nil, err
	}
	if d.Host {
		return "", nil, errors.New("--service-account: the context leads through a host, which does not know the ServiceAccounts of workspaces: " +
			"use a context for Annex's own endpoint, or create a WorkspaceAccess")
	}
	client, err := kubernetes.NewForConfig(s.At(d.WorkspaceURL(path)))
	if err != nil {
		return "", nil, fmt.Errorf("using the kubeconfig: %w", err)
	}
	if f.role != "" {
		if err := ensureAccount(ctx, client, f); err != nil {
			return "", nil, err
		}
	}
	if _, err := requestToken(ctx, client, f); err != nil {
		return "", nil, err
	}
	namespace, name := f.split()
	user, err := c.execUser(path, namespace+"/"+name, f.life, rules)
	return fmt.Sprintf("%s/%s/%s", path, namespace, name), user, err
}

// ensureAccount creates the ServiceAccount and binds the role to it. A binding of the same name for another role is an error.
func ensureAccount(ctx context.Context, client kubernetes.Interface, f accountFlags) error {
	namespace, name := f.split()
	if _, err := client.CoreV1().ServiceAccounts(namespace).Create(ctx, &corev1.ServiceAccount{ObjectMeta: metav1.ObjectMeta{Name: name}}, metav1.CreateOptions{}); err != nil && !apierrors.IsAlreadyExists(err) {
		return fmt.Errorf("creating the ServiceAccount: %w", err)
	}
	binding := &rbacv1.ClusterRoleBinding{
		ObjectMeta: metav1.ObjectMeta{Name: fmt.Sprintf("serviceaccount:%s:%s:%s", namespace, name, f.role)},
		RoleRef:    rbacv1.RoleRef{APIGroup: rbacv1.GroupName, Kind: "ClusterRole", Name: f.role},
		Subjects:   []rbacv1.Subject{{Kind: rbacv1.ServiceAccountKind, Namespace: namespace, Name: name}},
	}
	_, err := client.RbacV1().ClusterRoleBindings().Create(ctx, binding, metav1.CreateOptions{})
	if err != nil && !apierrors.IsAlreadyExists(err) {
		return fmt.Errorf("binding ClusterRole %s to the ServiceAccount: %w", f.role, err)
	}
	return nil
}

// execUser returns credentials that ask for a token whenever the last one has expired, with the kubeconfig and the context that are used now.
func (c *common) execUser(path logicalcluster.Path, account string, life time.Duration, rules *clientcmd.ClientConfigLoadingRules) (*clientcmdapi.AuthInfo, error) {
	var files []string
	for _, file := range rules.GetLoadingPrecedence() {
		absolute, err := filepath.Abs(file)
		if err != nil {
			return nil, fmt.Errorf("finding the kubeconfig: %w", err)
		}
		files = append(files, absolute)
	}
	source := *c.flags.Context
	if source == "" {
		merged, err := rules.Load()
		if err != nil {
			return nil, fmt.Errorf("reading the kubeconfig: %w", err)
		}
		source = merged.CurrentContext
	}
	return &clientcmdapi.AuthInfo{Exec: &clientcmdapi.ExecConfig{
		APIVersion: execVersion, Command: "kubectl-annex",
		Args:            []string{"token", "--context", source, "--workspace", ":" + path.String(), "--service-account", account, "--token-duration", life.String()},
		Env:             []clientcmdapi.ExecEnvVar{{Name: clientcmd.RecommendedConfigPathEnvVar, Value: strings.Join(files, string(filepath.ListSeparator))}},
		InteractiveMode: clientcmdapi.IfAvailableExecInteractiveMode,
		InstallHint:     "kubectl-annex, the plugin of kubectl for Annex, must be in your PATH.",
	}}, nil
}

// requestToken returns a token of the ServiceAccount.
func requestToken(ctx context.Context, client kubernetes.Interface, f accountFlags) (*authenticationv1.TokenRequest, error) {
	namespace, name := f.split()
	request, err := client.CoreV1().ServiceAccounts(namespace).CreateToken(ctx, name, &authenticationv1.TokenRequest{
		Spec: authenticationv1.TokenRequestSpec{ExpirationSeconds: ptr.To(int64(f.life / time.Second))},
	}, metav1.CreateOptions{})
	if err != nil {
		return nil, fmt.Errorf("requesting a token of ServiceAccount %s/%s: %w", namespace, name, err)
	}
	return request, nil
}

// newTokenCommand returns the exec plugin of kubeconfigs for ServiceAccounts.
func newTokenCommand(c *common) *cobra.Command {
	var account accountFlags
	command := &cobra.Command{
		Use:    "token --service-account [NAMESPACE/]NAME",
		Short:  "Print a token of a ServiceAccount for client-go, which runs this command as an exec plugin",
		Args:   cobra.NoArgs,
		Hidden: true,
	}
	flags := command.Flags()
	account.add(flags)
	_ = flags.MarkHidden("role")
	command.RunE = func(command *cobra.Command, _ []string) error {
		if account.name == "" || account.role != "" {
			return errors.New("--service-account: required, without --role")
		}
		if err := account.check(); err != nil {
			return err
		}
		ctx := command.Context()
		s, err := c.open(ctx)
		if err != nil {
			return err
		}
		url, _, err := s.WorkspaceURL(ctx)
		if err != nil {
			return err
		}
		client, err := kubernetes.NewForConfig(s.At(url))
		if err != nil {
			return fmt.Errorf("using the kubeconfig: %w", err)
		}
		request, err := requestToken(ctx, client, account)
		if err != nil {
			return err
		}
		credential := &clientauthenticationv1.ExecCredential{
			TypeMeta: metav1.TypeMeta{APIVersion: execVersion, Kind: "ExecCredential"},
			Status:   &clientauthenticationv1.ExecCredentialStatus{Token: request.Status.Token, ExpirationTimestamp: &request.Status.ExpirationTimestamp},
		}
		return json.NewEncoder(c.Out).Encode(credential)
	}
	c.addWorkspaceFlag(command)
	return command
}
