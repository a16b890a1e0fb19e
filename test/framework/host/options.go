package host

// Option changes how a host is started.
type Option func(*options)

type options struct {
	program           string // of bin/, for kube-apiserver
	args              []string
	noFsync           bool
	controllerManager bool
	controllerArgs    []string
	podNetwork        bool
}

func newOptions(opts []Option) options {
	o := options{program: "kube-apiserver"}
	for _, opt := range opts {
		opt(&o)
	}
	return o
}

// WithArgs appends flags to the command line of kube-apiserver, for example
// "--feature-gates=WatchList=true". Of two flags of the same name the last
// wins, so that defaults of this package can be changed, too.
func WithArgs(args ...string) Option {
	return func(o *options) { o.args = append(o.args, args...) }
}

// WithProgram runs another program of bin/ as kube-apiserver: one of another
// release.
func WithProgram(name string) Option {
	return func(o *options) { o.program = name }
}

// WithoutFsync lets etcd answer before its data is on disk. That is several
// times faster, and for data that nobody needs after a crash.
func WithoutFsync() Option {
	return func(o *options) { o.noFsync = true }
}

// WithControllerManager runs kube-controller-manager beside kube-apiserver, so
// that Deployments make pods, deleted namespaces go, owners take their objects
// with them, and every namespace gets its ServiceAccount and the host's CA. The
// admission plugin ServiceAccount is on then. It needs the binary
// bin/kube-controller-manager. The arguments are appended to its command line,
// as with [WithArgs].
func WithControllerManager(args ...string) Option {
	return func(o *options) { o.controllerManager, o.controllerArgs = true, append(o.controllerArgs, args...) }
}

// WithPodNetwork lets kube-apiserver reach Services, pods and nodes through
// this process, where [Host.RoutePods] says how. Until then, and without this
// option, it connects to their addresses as any process of the machine does.
func WithPodNetwork() Option {
	return func(o *options) { o.podNetwork = true }
}
