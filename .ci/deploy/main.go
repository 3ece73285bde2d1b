// Command deploy reads the files of the folder deploy the way the programs they are for do, without any of those
// running: Kubernetes manifests into the API's own types, the compose file by Compose's loader, the Dockerfile by
// BuildKit's parser. Anything unknown or of a wrong type is an error.
//
//	go -C .ci/deploy run . ../../deploy
package main

import (
	"bufio"
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"

	"github.com/compose-spec/compose-go/v2/cli"
	"github.com/moby/buildkit/frontend/dockerfile/instructions"
	"github.com/moby/buildkit/frontend/dockerfile/parser"
	appsv1 "k8s.io/api/apps/v1"
	corev1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/util/yaml"
	strict "sigs.k8s.io/yaml"
)

func main() {
	folder := os.Args[1]
	err := errors.Join(
		each(filepath.Join(folder, "kubernetes", "*.yaml"), kubernetes),
		each(filepath.Join(folder, "compose.yaml"), compose),
		each(filepath.Join(folder, "Dockerfile"), dockerfile),
		each(filepath.Join(folder, "grafana", "provisioning", "*", "*.yaml"), plain),
	)
	if err != nil {
		fmt.Fprintln(os.Stderr, err)
		os.Exit(1)
	}
}

func each(pattern string, check func(path string, body []byte) error) error {
	paths, err := filepath.Glob(pattern)
	if err == nil && len(paths) == 0 {
		err = fmt.Errorf("%s: no such file", pattern)
	}
	for _, path := range paths {
		body, wrong := os.ReadFile(path)
		if wrong == nil {
			wrong = check(path, body)
		}
		if wrong != nil {
			err = errors.Join(err, fmt.Errorf("%s: %w", path, wrong))
		} else {
			fmt.Println(path, "is well")
		}
	}
	return err
}

// kinds are what the manifests may hold.
var kinds = map[string]func() any{
	"apps/v1 Deployment":       func() any { return &appsv1.Deployment{} },
	"v1 Service":               func() any { return &corev1.Service{} },
	"v1 PersistentVolumeClaim": func() any { return &corev1.PersistentVolumeClaim{} },
}

func kubernetes(_ string, body []byte) error {
	documents := yaml.NewYAMLReader(bufio.NewReader(bytes.NewReader(body)))
	for {
		one, err := documents.Read()
		if errors.Is(err, io.EOF) {
			return nil
		}
		if err != nil {
			return err
		}
		var head struct {
			APIVersion string `json:"apiVersion"`
			Kind       string `json:"kind"`
		}
		if err := strict.Unmarshal(one, &head); err != nil {
			return err
		}
		blank := kinds[head.APIVersion+" "+head.Kind]
		if blank == nil {
			return fmt.Errorf("unknown kind %s %s", head.APIVersion, head.Kind)
		}
		if err := strict.UnmarshalStrict(one, blank()); err != nil {
			return fmt.Errorf("%s: %w", head.Kind, err)
		}
	}
}

func compose(path string, _ []byte) error {
	options, err := cli.NewProjectOptions([]string{path}, cli.WithoutEnvironmentResolution, cli.WithEnv([]string{
		"POSTGRES_PASSWORD=example", "GRAFANA_PASSWORD=example",
	}))
	if err != nil {
		return err
	}
	project, err := options.LoadProject(context.Background())
	if err != nil {
		return err
	}
	for _, service := range project.Services {
		for _, v := range service.Volumes {
			if v.Type != "bind" {
				continue
			}
			if _, err := os.Stat(v.Source); err != nil {
				return fmt.Errorf("service %s: %w", service.Name, err)
			}
		}
	}
	return nil
}

func dockerfile(_ string, body []byte) error {
	parsed, err := parser.Parse(bytes.NewReader(body))
	if err != nil {
		return err
	}
	stages, _, err := instructions.Parse(parsed.AST, nil)
	if err != nil {
		return err
	}
	for _, command := range stages[len(stages)-1].Commands {
		if _, ok := command.(*instructions.HealthCheckCommand); ok {
			return nil
		}
	}
	return errors.New("the image has no HEALTHCHECK")
}

func plain(_ string, body []byte) error {
	var whatever map[string]any
	return strict.UnmarshalStrict(body, &whatever)
}
