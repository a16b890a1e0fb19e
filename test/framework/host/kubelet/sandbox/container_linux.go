package sandbox

import (
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"runtime"
	"strings"
	"syscall"

	"golang.org/x/sys/unix"
)

// container is the stage that makes the container's file system around itself,
// gives its rights away and becomes the container's program.
func container() error {
	// Rights belong to a thread; the one that executes is the one that counts.
	runtime.LockOSThread()
	unix.CloseOnExec(4)
	status := os.NewFile(4, "status")
	err := becomeContainer()
	// Not on standard error, which is the container's log.
	_, _ = fmt.Fprint(status, err)
	os.Exit(1)
	return nil
}

func becomeContainer() error {
	spec, err := readSpec()
	if err != nil {
		return err
	}
	if err := unix.Sethostname([]byte(spec.Hostname)); err != nil {
		return fmt.Errorf("setting the host name: %w", err)
	}
	if err := enterRoot(spec); err != nil {
		return err
	}
	return execute(spec)
}

// enter is the stage of a further process: it is in the container already.
func enter() error {
	runtime.LockOSThread()
	unix.CloseOnExec(4) // this program
	spec, err := readSpec()
	if err != nil {
		return err
	}
	return execute(spec)
}

func readSpec() (spec Container, err error) {
	file := os.NewFile(3, "container")
	defer file.Close()
	if err := json.NewDecoder(file).Decode(&spec); err != nil {
		return spec, fmt.Errorf("decoding the container: %w", err)
	}
	return spec, nil
}

// execute replaces this process by the container's program. It returns only
// when that fails.
func execute(spec Container) error {
	syscall.Umask(0o022)
	program, err := lookUp(spec)
	if err != nil {
		return err
	}
	if err := os.Chdir(workingDir(spec)); err != nil {
		return fmt.Errorf("entering the working directory: %w", err)
	}
	if err := giveUpRights(spec); err != nil {
		return err
	}
	if err := syscall.Exec(program, spec.Args, spec.Env); err != nil {
		return fmt.Errorf("executing %s: %w", program, err)
	}
	return nil
}

func workingDir(spec Container) string {
	if spec.WorkingDir == "" {
		return "/"
	}
	return spec.WorkingDir
}

// lookUp finds the program the way that container runtimes do: in the PATH of
// the container.
func lookUp(spec Container) (string, error) {
	if len(spec.Args) == 0 || spec.Args[0] == "" {
		return "", errors.New("no command is given, and the image has none")
	}
	name := spec.Args[0]
	if strings.Contains(name, "/") {
		if !filepath.IsAbs(name) {
			name = filepath.Join(workingDir(spec), name)
		}
		return name, nil
	}
	var path string
	for _, variable := range spec.Env {
		if value, ok := strings.CutPrefix(variable, "PATH="); ok {
			path = value
		}
	}
	for _, dir := range filepath.SplitList(path) {
		candidate := filepath.Join(dir, name)
		info, err := os.Stat(candidate)
		if err == nil && info.Mode().IsRegular() && info.Mode()&0o111 != 0 {
			return candidate, nil
		}
	}
	return "", fmt.Errorf("%q: executable file not found in $PATH (%s)", name, path)
}
