// podsecurity asks Kubernetes' own code whether the pods of a stream of manifests are `restricted`.
//
//	kustomize build FOLDER | podsecurity
//
// One line a workload; exit code 1 where one would be refused, or where there is none.
package main

import (
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os"

	appsv1 "k8s.io/api/apps/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/util/yaml"
	"k8s.io/pod-security-admission/api"
	"k8s.io/pod-security-admission/policy"
)

func main() {
	evaluator, err := policy.NewEvaluator(policy.DefaultChecks())
	if err != nil {
		fail(err)
	}
	restricted := api.LevelVersion{Level: api.LevelRestricted, Version: api.LatestVersion()}
	found, refused := 0, 0
	decoder := yaml.NewYAMLOrJSONDecoder(os.Stdin, 4096)
	for {
		// Of both kinds, and of others, this is all that is looked at.
		var one struct {
			metav1.TypeMeta   `json:",inline"`
			metav1.ObjectMeta `json:"metadata"`
			Spec              appsv1.DeploymentSpec `json:"spec"`
		}
		var raw map[string]any
		if err := decoder.Decode(&raw); errors.Is(err, io.EOF) {
			break
		} else if err != nil {
			fail(err)
		}
		if raw["kind"] != "Deployment" && raw["kind"] != "StatefulSet" {
			continue
		}
		text, err := json.Marshal(raw)
		if err == nil {
			err = json.Unmarshal(text, &one)
		}
		if err != nil {
			fail(err)
		}
		found++
		pod := one.Spec.Template
		verdict := policy.AggregateCheckResults(evaluator.EvaluatePod(restricted, &pod.ObjectMeta, &pod.Spec))
		if verdict.Allowed {
			fmt.Printf("%s %s: restricted\n", one.Kind, one.Name)
			continue
		}
		refused++
		fmt.Printf("%s %s: refused: %s\n", one.Kind, one.Name, verdict.ForbiddenDetail())
	}
	if found == 0 {
		fail(errors.New("there is no Deployment or StatefulSet"))
	}
	if refused > 0 {
		os.Exit(1)
	}
}

func fail(err error) {
	fmt.Fprintln(os.Stderr, "podsecurity:", err)
	os.Exit(1)
}
