package kubelet

import (
	"context"
	"fmt"
	"maps"
	"os"
	"path/filepath"
	"slices"
	"strings"

	corev1 "k8s.io/api/core/v1"

	"github.com/annex-dev/annex/test/framework/host/kubelet/sandbox"
)

// build says what to run for the container, from the image and the pod. With an
// error comes the reason that the status shows.
func (c *container) build(ctx context.Context) (sandbox.Container, string, error) {
	const badConfig = "CreateContainerConfigError"
	image, found := c.pod.kubelet.options.findImage(c.spec.Image)
	if !found {
		return sandbox.Container{}, "ErrImagePull", fmt.Errorf("no image %q is known here: name it with kubelet.WithImage", c.spec.Image)
	}
	env, err := c.environment(image)
	if err != nil {
		return sandbox.Container{}, badConfig, err
	}
	built := sandbox.Container{
		Hostname: c.pod.hostname(), WorkingDir: image.WorkingDir,
		Files: c.pod.files(image),
		Log:   c.logFile(c.snapshot().RestartCount),
	}
	if c.spec.WorkingDir != "" {
		built.WorkingDir = c.spec.WorkingDir
	}
	if err := c.setUser(&built, image); err != nil {
		return built, badConfig, err
	}
	for _, name := range slices.Sorted(maps.Keys(env)) {
		built.Env = append(built.Env, name+"="+env[name])
	}
	built.Args = command(c.spec, image, env)
	if err := c.makeFiles(&built); err != nil {
		return built, badConfig, err
	}
	libraries(&built)
	for _, path := range slices.Sorted(maps.Keys(image.Files)) {
		built.Mounts = append(built.Mounts, sandbox.Mount{Source: image.Files[path], Target: path, ReadOnly: true})
	}
	if err := c.mount(ctx, &built, env); err != nil {
		return built, badConfig, err
	}
	return built, "", nil
}

// command follows the table of "Define a Command and Arguments for a Container".
func command(spec corev1.Container, image Image, env map[string]string) []string {
	entrypoint, args := image.Entrypoint, image.Cmd
	if len(spec.Command) > 0 {
		entrypoint, args = spec.Command, nil
	}
	if len(spec.Args) > 0 {
		args = spec.Args
	}
	var all []string
	for _, arg := range slices.Concat(entrypoint, args) {
		all = append(all, expand(arg, env))
	}
	return all
}

// setUser says who runs the container, with which rights.
func (c *container) setUser(built *sandbox.Container, image Image) error {
	built.User, built.Group = image.User, image.Group
	nonRoot := false
	capabilities := defaultCapabilities()
	// A pod without a word about it gets no filter, as kubelets have it.
	if security := c.pod.first.Spec.SecurityContext; security != nil {
		set(&built.User, security.RunAsUser)
		set(&built.Group, security.RunAsGroup)
		set(&nonRoot, security.RunAsNonRoot)
		built.FilterSystemCalls = security.SeccompProfile != nil && security.SeccompProfile.Type == corev1.SeccompProfileTypeRuntimeDefault
	}
	if security := c.spec.SecurityContext; security != nil {
		set(&built.User, security.RunAsUser)
		set(&built.Group, security.RunAsGroup)
		set(&nonRoot, security.RunAsNonRoot)
		set(&built.ReadOnlyRoot, security.ReadOnlyRootFilesystem)
		built.NoNewPrivileges = security.AllowPrivilegeEscalation != nil && !*security.AllowPrivilegeEscalation
		if security.SeccompProfile != nil {
			built.FilterSystemCalls = security.SeccompProfile.Type == corev1.SeccompProfileTypeRuntimeDefault
		}
		capabilities = changeCapabilities(capabilities, security.Capabilities)
	}
	if nonRoot && built.User == 0 {
		return fmt.Errorf("container has runAsNonRoot and image will run as root (pod: %q, container: %s)", c.pod.first.Name, c.spec.Name)
	}
	if built.User == 0 {
		built.Capabilities = capabilities
	}
	return nil
}

func set[T any](target *T, value *T) {
	if value != nil {
		*target = *value
	}
}

// defaultCapabilities are those that container runtimes leave to root.
func defaultCapabilities() []string {
	return []string{
		"AUDIT_WRITE", "CHOWN", "DAC_OVERRIDE", "FOWNER", "FSETID", "KILL", "MKNOD", "NET_BIND_SERVICE",
		"NET_RAW", "SETFCAP", "SETGID", "SETPCAP", "SETUID", "SYS_CHROOT",
	}
}

func changeCapabilities(have []string, change *corev1.Capabilities) []string {
	if change == nil {
		return have
	}
	for _, name := range change.Drop {
		if strings.EqualFold(string(name), "ALL") {
			have = nil
		}
		have = slices.DeleteFunc(have, func(h string) bool { return h == plainCapability(name) })
	}
	for _, name := range change.Add {
		have = append(have, plainCapability(name))
	}
	return have
}

func plainCapability(name corev1.Capability) string {
	return strings.TrimPrefix(strings.ToUpper(string(name)), "CAP_")
}

// makeFiles makes what the sandbox wants to find: the root, and the files of
// the container's end.
func (c *container) makeFiles(built *sandbox.Container) error {
	dir := filepath.Join(c.pod.dir, c.spec.Name)
	built.Root = filepath.Join(dir, "root")
	if err := os.MkdirAll(built.Root, 0o700); err != nil {
		return fmt.Errorf("making the directory of the container: %w", err)
	}
	if c.spec.TerminationMessagePath == "" {
		return nil
	}
	file, err := os.OpenFile(c.messageFile(), os.O_CREATE|os.O_RDONLY, 0o600)
	if err != nil {
		return fmt.Errorf("making the termination message: %w", err)
	}
	if err := file.Close(); err != nil {
		return fmt.Errorf("making the termination message: %w", err)
	}
	built.Mounts = append(built.Mounts, sandbox.Mount{Source: file.Name(), Target: c.spec.TerminationMessagePath})
	return nil
}

// libraries shows the machine's shared libraries: programs that are built with
// cgo need them, and so do the processes that begin a container.
func libraries(built *sandbox.Container) {
	built.Links = map[string]string{}
	for _, path := range []string{"/usr/lib", "/usr/lib64", "/lib", "/lib64"} {
		if _, err := os.Stat(path); err != nil {
			continue
		}
		if target, err := os.Readlink(path); err == nil {
			built.Links[path] = target
			continue
		}
		built.Mounts = append(built.Mounts, sandbox.Mount{Source: path, Target: path, ReadOnly: true})
	}
}

func (p *pod) hostname() string {
	if p.first.Spec.Hostname != "" {
		return p.first.Spec.Hostname
	}
	return p.first.Name[:min(len(p.first.Name), 63)]
}

// files are those of the image and the network that a kubelet writes.
func (p *pod) files(image Image) map[string][]byte {
	user := image.User
	if user == 0 {
		user = nonRoot
	}
	domain := p.first.Namespace + ".svc." + clusterDomain
	name := p.hostname()
	if p.first.Spec.Subdomain != "" {
		name = fmt.Sprintf("%s.%s.%s\t%s", name, p.first.Spec.Subdomain, domain, name)
	}
	return map[string][]byte{
		"/etc/passwd":      fmt.Appendf(nil, "root:x:0:0:root:/:/sbin/nologin\nnonroot:x:%d:%d::/:/sbin/nologin\n", user, user),
		"/etc/group":       fmt.Appendf(nil, "root:x:0:\nnonroot:x:%d:\n", user),
		"/etc/hostname":    []byte(p.hostname() + "\n"),
		"/etc/hosts":       fmt.Appendf(nil, "127.0.0.1\tlocalhost\n::1\tlocalhost\n%s\t%s\n", p.ip, name),
		"/etc/resolv.conf": fmt.Appendf(nil, "search %s svc.%s %s\nnameserver %s\noptions ndots:5\n", domain, clusterDomain, clusterDomain, dnsAddress),
	}
}
